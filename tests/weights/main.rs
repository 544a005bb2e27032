//! Weights files of every kind: whole ones, cut off, damaged by chance, and made to do harm.

mod archives;
mod archives_hostile;
mod damaged;
mod files;
mod hdf5;
mod hostile;
mod torch_hostile;
mod torch_objects;

#[allow(dead_code, reason = "every test program uses a part")]
#[path = "../common"]
mod common {
    pub(crate) mod cuts;
    pub(crate) mod handmade;
    pub(crate) mod memory;
    pub(crate) mod npy_writer;
    pub(crate) mod seeded;
    pub(crate) mod splitmix;
    pub(crate) mod torch_writer;
    pub(crate) mod zip_writer;
}
