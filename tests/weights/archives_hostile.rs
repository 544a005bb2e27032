//! Zip archives made to do harm: always an error in words, never a call, a panic
//! or an endless loop, never more memory than the file and 64 MiB beside it.

use gradcam::weights::{self, ContentsError, NpzError, ZipError};

use crate::common::handmade::{ARRAY, dtype, open};
use crate::common::memory;
use crate::common::zip_writer::{End, Member, npy, zip, zip_with};

fn zip_error(bytes: Vec<u8>) -> ZipError {
    match open(bytes) {
        Err(ContentsError::Zip(error) | ContentsError::Npz(NpzError::Zip(error))) => error,
        other => panic!("{other:?}"),
    }
}

fn one() -> Vec<u8> {
    npy("<f4", "(1,)", &[0; 4])
}

// Attacks on the archive

#[test]
fn names_that_lead_out_of_the_archive_or_cannot_be_shown_are_refused() {
    let long = vec![b'x'; 513];
    let names: [&[u8]; 14] = [
        b"../w.npy",
        b"a/../../w.npy",
        b"/etc/w.npy",
        b"a//w.npy",
        b"./w.npy",
        b"..",
        b"..\\w.npy",
        b"C:\\w.npy",
        b"w\0.npy",
        b"\x1b[2Jw.npy",
        b"w\n.npy",
        b"\xff.npy",
        b"",
        &long,
    ];
    for name in names {
        let member = Member {
            name: name.to_vec(),
            local_name: name.to_vec(),
            ..Member::stored("", &one())
        };
        let error = zip_error(zip(&[Member::stored("v.npy", &one()), member]));
        assert!(matches!(error, ZipError::Name { .. }), "{name:x?}: {error}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
}

#[test]
fn two_members_of_one_name_are_refused() {
    let twice = [
        Member::stored("w.npy", &one()),
        Member::stored("v.npy", &one()),
        Member::stored("w.npy", &one()),
    ];
    let name = "w.npy".to_owned();
    assert_eq!(zip_error(zip(&twice)), ZipError::Duplicate { name });
}

#[test]
fn members_that_share_bytes_are_refused() {
    let inner = zip(&[Member::stored("b.npy", &one())]);
    let outer = Member::stored("a.npy", &inner);
    // The second member's header lies within the first one's data.
    let start = Some(30 + "a.npy".len() as u32);
    let quoted = Member {
        start,
        ..Member::stored("b.npy", &one())
    };
    let error = zip_error(zip(&[outer, quoted]));
    assert!(
        matches!(error, ZipError::Overlap { .. } | ZipError::Damaged(_)),
        "{error}"
    );
    let same = Member {
        start: Some(0),
        name: b"b.npy".to_vec(),
        ..Member::stored("a.npy", &one())
    };
    let error = zip_error(zip(&[Member::stored("a.npy", &one()), same]));
    assert_eq!(error, ZipError::Damaged("the header of a member"));
}

#[test]
fn a_member_that_its_own_header_contradicts_is_refused() {
    let w = Member::stored("w.npy", &one());
    let lies = [
        Member {
            local_name: b"v.npy".to_vec(),
            ..w.clone()
        },
        Member {
            local_method: 8,
            ..w.clone()
        },
        Member {
            start: Some(1),
            ..w.clone()
        },
        Member {
            start: Some(u32::MAX - 1),
            ..w.clone()
        },
        Member {
            start: Some(u32::MAX),
            ..w.clone()
        },
        Member {
            len: w.len + 1,
            ..w.clone()
        },
        Member {
            packed: u32::MAX,
            ..w.clone()
        },
        Member {
            packed: w.packed + 1,
            len: w.len + 1,
            ..w.clone()
        },
    ];
    for (i, lie) in lies.into_iter().enumerate() {
        let error = zip_error(zip(&[lie]));
        assert!(matches!(error, ZipError::Damaged(_)), "{i}: {error}");
    }
}

#[test]
fn an_end_that_announces_too_much_is_refused() {
    let members = [Member::stored("w.npy", &one())];
    let lies: [fn(End) -> End; 8] = [
        |end| End { count: 0, ..end },
        |end| End { count: 2, ..end },
        |end| End {
            count: 65_535,
            ..end
        },
        |end| End {
            length: end.length + 1,
            ..end
        },
        |end| End {
            length: u64::MAX,
            ..end
        },
        |end| End {
            start: end.start + 1,
            ..end
        },
        |end| End {
            start: u64::MAX,
            ..end
        },
        |_| End {
            length: 0,
            start: 0,
            count: 0,
        },
    ];
    for (i, lie) in lies.into_iter().enumerate() {
        for wide in [false, true] {
            let error = zip_error(zip_with(&members, lie, wide));
            assert!(matches!(error, ZipError::Damaged(_)), "{i} {wide}: {error}");
        }
    }
    let tera = |end| End {
        count: 1 << 40,
        ..end
    };
    let error = zip_error(zip_with(&members, tera, true));
    assert_eq!(error, ZipError::TooMany(1 << 40));
}

#[test]
fn encrypted_members_and_other_compressions_are_named() {
    let encrypted = Member {
        flags: 1,
        ..Member::stored("w.npy", &one())
    };
    assert!(matches!(
        zip_error(zip(&[encrypted])),
        ZipError::Encrypted { .. }
    ));
    let bzip2 = Member {
        method: 12,
        local_method: 12,
        ..Member::stored("w.npy", &one())
    };
    let name = "w.npy".to_owned();
    let expected = ZipError::Method { name, method: 12 };
    assert_eq!(zip_error(zip(&[bzip2])), expected);
}

#[test]
fn zip_bombs_are_given_up_before_they_unpack() {
    // An array of another length than its member
    let zeros = npy("<f4", "(2,)", &vec![0; 100_000_000]);
    let bomb = Member::deflated("w.npy", &zeros);
    assert!(bomb.packed < 200_000);
    let error = open(zip(std::slice::from_ref(&bomb))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("takes 8 bytes, but there are 100000000"),
        "{error}"
    );
    let zeros = npy("<f4", "(25000000,)", &vec![0; 100_000_000]);
    let bomb = Member::deflated("w.npy", &zeros);
    // Announced as less than it is
    for len in [1000, 30_000_000] {
        let lie = Member {
            len,
            ..bomb.clone()
        };
        assert!(open(zip(&[lie])).is_err());
    }
    // And as more
    let tiny = Member::deflated("w.npy", &one());
    let error = zip_error(zip(&[Member {
        len: 4_000_000_000,
        ..tiny.clone()
    }]));
    assert!(matches!(error, ZipError::Bomb { .. }), "{error}");
    let lie = Member {
        len: 60_000_000,
        ..tiny
    };
    assert!(open(zip(&[lie])).is_err());
    // Many that are small by themselves, and all of them are counted before one is unpacked
    let zeros = Member::deflated("w.npy", &npy("<f4", "(25000000,)", &vec![0; 100_000_000]));
    let many: Vec<_> = (0..40)
        .map(|i| Member {
            name: format!("{i}.npy").into(),
            local_name: format!("{i}.npy").into(),
            ..zeros.clone()
        })
        .collect();
    let error = zip_error(zip(&many));
    assert!(matches!(error, ZipError::Bomb { .. }), "{error}");
}

#[test]
fn arrays_that_are_nearly_all_zero_are_unpacked_a_window_at_a_time() {
    // 100 MB in 200 kB, of which every fiftieth number is none.
    let mut data = vec![0; 100_000_000];
    for place in data.chunks_exact_mut(200) {
        place[..4].copy_from_slice(&1.5_f32.to_le_bytes());
    }
    let file = zip(&[Member::deflated("w.npy", &npy("<f4", "(25000000,)", &data))]);
    assert!(file.len() < data.len() / 60);
    let (weights, taken) = memory::peak(|| weights::from_bytes(file).unwrap());
    assert!(taken < 8 << 20, "{taken}");
    let tensor = &weights.tensors["w"];
    let mut piece = [0.0; 51];
    let ((), taken) = memory::peak(|| tensor.read(24_999_949, &mut piece));
    assert!(taken < 8 << 20, "{taken}");
    assert_eq!((piece[0], piece[1], piece[50]), (0.0, 1.5, 0.0));
    assert_eq!(piece.iter().sum::<f32>(), 1.5);
}

#[test]
fn compressed_pickles_that_take_much_memory_are_given_up() {
    let pickle = [b"\x80\x04B\0\0\0\x01".as_slice(), &vec![0; 1 << 24], b"."].concat();
    let member = Member::deflated("w.npy", &npy("|O", "()", &pickle));
    let error = open(zip(&[member])).unwrap_err().to_string();
    assert!(error.contains("numpy.savez writes it without"), "{error}");
    // Many that are small by themselves
    let pickle = [b"\x80\x04B\0\0\x40\0".as_slice(), &vec![0; 1 << 22], b"."].concat();
    let nothing = [b"\x80\x02".as_slice(), &object(b"N"), b"."].concat();
    let small = npy("|O", "()", &[&nothing[..], &pickle].concat());
    let many: Vec<_> = (0..5)
        .map(|i| Member::deflated(&format!("{i}.npy"), &small))
        .collect();
    let error = open(zip(&many)).unwrap_err().to_string();
    assert!(error.contains("\"3.npy\": a compressed pickle"), "{error}");
}

/// The array around one object, as opcodes.
fn object(object: &[u8]) -> Vec<u8> {
    [ARRAY, b"(K\x01)", &dtype("O8"), b"\x89]", object, b"atb"].concat()
}

#[test]
fn compressed_data_that_are_damaged_are_told() {
    let good = Member::deflated("w.npy", &one());
    open(zip(std::slice::from_ref(&good))).unwrap();
    let mut flipped = good.clone();
    flipped.data[20] ^= 0x40;
    let mut longer = good.clone();
    longer.data.push(0);
    longer.packed += 1;
    let shorter = Member {
        packed: good.packed - 1,
        ..good.clone()
    };
    let sum = Member {
        crc: good.crc ^ 1,
        ..good.clone()
    };
    let len = Member {
        len: good.len - 1,
        ..good
    };
    for member in [flipped, longer, shorter, sum] {
        let error = zip_error(zip(&[member]));
        assert!(matches!(error, ZipError::Inflate { .. }), "{error}");
    }
    let error = open(zip(&[len])).unwrap_err().to_string();
    assert!(error.contains("takes 4 bytes, but there are 3"), "{error}");
}

/// `torch.save` writes 0 where it was told to take no checksums.
#[test]
fn a_stored_member_is_held_against_its_checksum_unless_it_has_none() {
    let good = Member::stored("w.npy", &one());
    let verify = |crc| {
        let member = Member {
            crc,
            ..good.clone()
        };
        open(zip(&[member])).unwrap().verify()
    };
    verify(good.crc).unwrap();
    verify(0).unwrap();
    let error = verify(good.crc ^ 1).unwrap_err().to_string();
    assert!(error.contains("\"w.npy\" is damaged"), "{error}");
}

#[test]
fn very_many_members_take_bounded_memory() {
    let members: Vec<_> = (0..65_000)
        .map(|i| Member::stored(&format!("{i}.npy"), b""))
        .collect();
    let error = open(zip(&members)).unwrap_err();
    assert!(matches!(error, ContentsError::Npz(NpzError::Npy { .. })));
    let members: Vec<_> = (0..20_000)
        .map(|i| Member::stored(&format!("{i}.npy"), &one()))
        .collect();
    let error = open(zip(&members)).unwrap_err();
    assert!(matches!(error, ContentsError::Npz(NpzError::TooMany)));
}

#[test]
fn a_member_that_is_no_array_is_named() {
    let lengths = "0,".repeat(30_000);
    for (data, sentence) in [
        (b"<html></html>".to_vec(), "the .npy header is damaged"),
        (
            npy("<f4", "(2,)", &[0; 4]),
            "takes 8 bytes, but there are 4",
        ),
        (npy("<f4", "(1000000000000,)", &[0; 4]), "but there are 4"),
        (
            npy("<f4", &format!("({lengths})"), b""),
            "header is damaged",
        ),
        (
            npy("|O", "()", b"\x80\x02cos\nsystem\nU\x04true\x85R."),
            "the pickle calls os.system: refused",
        ),
    ] {
        for member in [
            Member::stored("w.npy", &data),
            Member::deflated("w.npy", &data),
        ] {
            let error = open(zip(&[member])).unwrap_err().to_string();
            assert!(error.contains(sentence), "{error}");
            assert!(error.starts_with("\"w.npy\": "), "{error}");
        }
    }
}
