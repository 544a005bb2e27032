//! All pictures of a run: they are prepared, explained, drawn and told side by side.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::choice::Choice;
use super::compute::{Engines, PictureNumber};
use super::devices::Devices;
use super::draw;
use super::ending::{Collected, Ending};
use super::model::Model;
use super::record::{self, Record};
use super::weight_checks::WeightChecks;
use super::{Jobs, Message};
use crate::command::Error;
use crate::command::batch::{self, Width};
use crate::command::preview::Screen;
use crate::options::Options;
use crate::output;
use crate::output::page::Media;

/// What is the same for all pictures.
pub(super) struct Run<'a> {
    pub(super) options: &'a Options,
    pub(super) jobs: &'a Jobs,
    pub(super) model: &'a Model,
    pub(super) choice: &'a Choice,
    pub(super) devices: &'a Devices,
    /// What is told of the weights, the network and the devices.
    pub(super) notes: Vec<String>,
    /// Of the page, if there is to be one.
    pub(super) media: Option<Media>,
    /// Where maps are drawn, if anywhere.
    pub(super) screen: Option<Screen>,
}

impl Run<'_> {
    /// Explains every picture. Returns whether all went well.
    pub(super) fn all(
        &self,
        checks: &WeightChecks<'_>,
        collected: Collected,
        out: &mut (impl Write + Send),
        tell: &(impl Fn(Message) + Sync),
    ) -> Result<bool, Error> {
        let engines = self.set_up()?;
        self.tell_of_folders(tell);
        self.sweep(tell);
        self.tell_fewer_channels(&engines, tell);
        self.tell_fewer_at_once(&engines, tell);
        let list = &self.jobs.list;
        let computed = AtomicUsize::new(0);
        let record = match record::is_kept(self.options, self.jobs) {
            true => {
                let run = record::settings(self.options, checks.sha256());
                Some(Record::open(self.options, self.jobs, run, tell)?)
            }
            false => None,
        };
        let mut ending = Ending::new(self, record, collected, out);
        batch::run(
            list,
            self.width(&engines),
            |job| self.prepare(&engines, job),
            |device, pictures| {
                let at_once = pictures.len();
                let place = PictureNumber {
                    index: computed.fetch_add(at_once, Ordering::Relaxed),
                    of: list.len(),
                };
                let pictures = pictures.into_iter().map(|(_, picture)| picture).collect();
                let explained = self.compute(&engines, device, pictures, place, tell);
                explained.unwrap_or_else(|error| self.all_fail(at_once, error))
            },
            |job, explained| {
                checks.sound()?;
                Ok(self.draw(job, &explained, &engines, checks.sha256())?)
            },
            |job, outcome| ending.of_picture(job, outcome, tell),
        );
        ending.finish()
    }

    /// Says which folders will be made, or that nothing goes to the one that was named.
    fn tell_of_folders(&self, tell: &impl Fn(Message)) {
        let options = self.options;
        let is_written_to = draw::files(options) > 0 || record::is_kept(options, self.jobs);
        if let (Some(folder), false) = (&options.out_dir, is_written_to) {
            let note = format!(
                "nothing is written to {}: --outputs heatmap,gradcam, say, asks for files beside --sheet and --report",
                folder.display(),
            );
            return tell(Message::Note(note));
        }
        for folder in &self.jobs.new_folders {
            let note = format!("{} is new and will be made", folder.display());
            tell(Message::Note(note));
        }
    }

    fn width(&self, engines: &Engines) -> Width {
        let threads = cores().min(self.jobs.list.len());
        Width {
            prepare: threads,
            devices: engines.explainers.len(),
            at_once: engines.explainers[0].at_once(),
            draw: threads,
        }
    }

    /// Removes what killed runs left unfinished in the folders that are written to.
    fn sweep(&self, tell: &impl Fn(Message)) {
        if self.options.to_stdout {
            return;
        }
        for folder in &self.jobs.folders {
            let note = match output::sweep(folder) {
                0 => continue,
                1 => "1 unfinished file of a run that was killed is removed".to_owned(),
                files => format!("{files} unfinished files of runs that were killed are removed"),
            };
            tell(Message::Note(match folder.as_os_str().is_empty() {
                true => note,
                false => format!("{}: {note}", folder.display()),
            }));
        }
    }

    /// Says where the layer has fewer channels than are to be tried.
    fn tell_fewer_channels(&self, engines: &Engines, tell: &impl Fn(Message)) {
        let all = engines.explainers[0].channels();
        let tried = self.options.channels.map(NonZeroUsize::get);
        let is_read = engines.settings.channels.is_some();
        if let Some(tried) = tried.filter(|&tried| tried > all && is_read) {
            let layers = engines.explainers[0].layers().join("+");
            let note = format!("--channels {tried}: {layers} has {all}, and all of them are tried");
            tell(Message::Note(note));
        }
    }
}

pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
