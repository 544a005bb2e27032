//! Pickles of `torch.save`, opcode by opcode, in both of its forms.

use super::zip_writer::{Member, zip};

/// The magic number, the version of the form and the sizes of C's types.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// `torch.save`'s archive around the opcodes that leave one object on the stack.
pub(crate) fn archive(object: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    zip(&members(object, storages))
}

pub(crate) fn members(object: &[u8], storages: &[(&str, &[u8])]) -> Vec<Member> {
    let pickle = [b"\x80\x02", object, b"."].concat();
    let mut members = vec![Member::stored("m/data.pkl", &pickle)];
    let storage = |&(key, data): &(&str, &[u8])| Member::stored(&format!("m/data/{key}"), data);
    members.extend(storages.iter().map(storage));
    members
}

/// The form before 1.6, with `storages` as they follow the pickles: key, number of elements, data.
pub(crate) fn legacy(object: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let mut file = [LEGACY, b"\x80\x02", object, b".\x80\x02]"].concat();
    for (key, ..) in storages {
        file.extend(text(key));
        file.push(b'a');
    }
    file.push(b'.');
    for (_, count, data) in storages {
        file.extend(count.to_le_bytes());
        file.extend(*data);
    }
    file
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    [b"X", &length[..], text.as_bytes()].concat()
}

/// A dictionary of one.
pub(crate) fn dict(key: &str, value: &[u8]) -> Vec<u8> {
    [b"}", &text(key)[..], value, b"s"].concat()
}

fn int(number: i64) -> Vec<u8> {
    [b"\x8a\x08", &number.to_le_bytes()[..]].concat()
}

fn tuple(numbers: &[i64]) -> Vec<u8> {
    let items: Vec<_> = numbers.iter().flat_map(|&number| int(number)).collect();
    [b"(", &items[..], b"t"].concat()
}

/// A view as it is pickled.
pub(crate) struct View<'a> {
    pub(crate) class: &'a str,
    pub(crate) key: &'a str,
    /// Elements of the storage.
    pub(crate) len: i64,
    pub(crate) offset: i64,
    pub(crate) shape: &'a [i64],
    pub(crate) strides: &'a [i64],
}

/// Two elements of float32, all there are in storage 0.
pub(crate) const PAIR: View<'_> = View {
    class: "FloatStorage",
    key: "0",
    len: 2,
    offset: 0,
    shape: &[2],
    strides: &[1],
};

impl View<'_> {
    pub(crate) fn storage(&self) -> Vec<u8> {
        let class = format!("ctorch\n{}\n", self.class);
        [
            b"(",
            &text("storage")[..],
            class.as_bytes(),
            &text(self.key),
            &text("cpu"),
            &int(self.len),
            b"tQ",
        ]
        .concat()
    }

    /// The arguments that all versions of the function begin with.
    fn arguments(&self) -> Vec<u8> {
        [
            self.storage(),
            int(self.offset),
            tuple(self.shape),
            tuple(self.strides),
        ]
        .concat()
    }

    pub(crate) fn tensor(&self) -> Vec<u8> {
        let arguments = self.arguments();
        let function = b"ctorch._utils\n_rebuild_tensor_v2\n(";
        [function, &arguments[..], b"\x89}tR"].concat()
    }

    /// As torch 0.x wrote it.
    pub(crate) fn old_tensor(&self) -> Vec<u8> {
        let arguments = self.arguments();
        let function = b"ctorch._utils\n_rebuild_tensor\n(";
        [function, &arguments[..], b"tR"].concat()
    }
}
