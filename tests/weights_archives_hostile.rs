//! Zip archives and PyTorch files made to do harm: always an error in words, never a call, a panic
//! or an endless loop, never more memory than the file and 64 MiB beside it.

use gradcam::weights::{
    ContentsError, NpzError, PickleError, StateDictError, TensorError, TorchError, ZipError,
};

#[allow(dead_code, reason = "every test program uses a part")]
mod common {
    pub(crate) mod handmade;
    pub(crate) mod memory;
    pub(crate) mod torch_writer;
    pub(crate) mod zip_writer;
}
use common::handmade::{ARRAY, dtype, open};
use common::torch_writer::{PAIR, View, archive, dict, legacy, members, text};
use common::zip_writer::{End, Member, npy, zip, zip_with};

fn zip_error(bytes: Vec<u8>) -> ZipError {
    match open(bytes) {
        Err(
            ContentsError::Zip(error)
            | ContentsError::Npz(NpzError::Zip(error))
            | ContentsError::Torch(TorchError::Zip(error)),
        ) => error,
        other => panic!("{other:?}"),
    }
}

fn torch_error(bytes: Vec<u8>) -> TorchError {
    match open(bytes) {
        Err(ContentsError::Torch(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn state_dict_error(object: &[u8]) -> StateDictError {
    match torch_error(archive(object, &[("0", &[0; 8])])) {
        TorchError::StateDict(error) => error,
        other => panic!("{other}"),
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
    let zeros = npy("<f4", "(25000000,)", &vec![0; 100_000_000]);
    let bomb = Member::deflated("w.npy", &zeros);
    assert!(bomb.packed < 200_000);
    let error = zip_error(zip(std::slice::from_ref(&bomb)));
    assert!(matches!(error, ZipError::Bomb { .. }), "{error}");
    // Announced as less than it is
    for len in [1000, 30_000_000] {
        let error = zip_error(zip(&[Member {
            len,
            ..bomb.clone()
        }]));
        assert!(matches!(error, ZipError::Inflate { .. }), "{error}");
    }
    // And as more
    let tiny = Member::deflated("w.npy", &one());
    let error = zip_error(zip(&[Member {
        len: 4_000_000_000,
        ..tiny.clone()
    }]));
    assert!(matches!(error, ZipError::Bomb { .. }), "{error}");
    let error = zip_error(zip(&[Member {
        len: 60_000_000,
        ..tiny
    }]));
    assert!(matches!(error, ZipError::Inflate { .. }), "{error}");
    // Many that are small by themselves
    let ten = npy("<f4", "(2500000,)", &vec![0; 10_000_000]);
    let many: Vec<_> = (0..20)
        .map(|i| Member::deflated(&format!("{i}.npy"), &ten))
        .collect();
    let error = zip_error(zip(&many));
    assert!(matches!(error, ZipError::Bomb { .. }), "{error}");
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
    for member in [flipped, longer, shorter, sum, len] {
        let error = zip_error(zip(&[member]));
        assert!(matches!(error, ZipError::Inflate { .. }), "{error}");
    }
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

// Attacks on torch's pickles

#[test]
fn a_checkpoint_that_calls_a_function_is_refused_by_the_functions_name() {
    for (call, name) in [
        ("cos\nsystem\n", "os.system"),
        ("cbuiltins\neval\n", "builtins.eval"),
        ("ctorch\nload\n", "torch.load"),
        (
            "ctorch._utils\n_rebuild_qtensor\n",
            "torch._utils._rebuild_qtensor",
        ),
    ] {
        let object = dict("w", &[call.as_bytes(), b"(tR"].concat());
        for file in [archive(&object, &[]), legacy(&object, &[])] {
            let name = name.to_owned();
            let expected = TorchError::Pickle(PickleError::Refused { name });
            assert_eq!(torch_error(file), expected);
        }
    }
    let object = b"csubprocess\nPopen\n(tR";
    let class = "subprocess.Popen".to_owned();
    let error = torch_error(archive(object, &[]));
    assert_eq!(error, TorchError::Class { class });
    // Nor in the pickles around it
    let mut file = legacy(b"}", &[]);
    let at = file.len() - 2;
    file.splice(at..at, *b"cos\nsystem\n");
    assert!(matches!(torch_error(file), TorchError::Pickle(_)));
}

#[test]
fn storages_that_are_not_there_or_not_as_announced_are_told() {
    let with = |view: View<'_>| state_dict_error(&dict("w", &view.tensor()));
    let missing = with(View { key: "1", ..PAIR });
    assert!(matches!(missing, StateDictError::Storage { .. }));
    for len in [0, 1, 3, -1, 1 << 62, i64::MAX] {
        let error = with(View { len, ..PAIR });
        assert!(matches!(error, StateDictError::Damaged { .. }), "{error}");
    }
    for id in [
        &b")Q"[..],
        b"(NNNNNtQ",
        b"(NNNNNNNtQ",
        b"(X\x07\0\0\0storageNX\x01\0\0\x000NK\x02tQ",
        b"N",
    ] {
        let tensor = [b"ctorch._utils\n_rebuild_tensor_v2\n(", id, b"K\0))\x89}tR"].concat();
        let error = state_dict_error(&dict("w", &tensor));
        assert!(matches!(error, StateDictError::Damaged { .. }), "{error}");
    }
    for id in [&b"NQ"[..], b"(Q", b"]Q"] {
        let error = torch_error(archive(id, &[]));
        assert!(
            matches!(error, TorchError::Pickle(PickleError::Damaged { .. })),
            "{error}"
        );
    }
}

#[test]
fn views_that_reach_beyond_their_data_are_refused() {
    let views = [
        (0, &[3][..], &[1][..]),
        (1, &[2], &[1]),
        (2, &[1], &[1]),
        (0, &[2], &[2]),
        (0, &[1 << 40], &[0]),
        (0, &[3], &[0]),
        (0, &[i64::MAX, i64::MAX], &[0, 0]),
        (0, &[2], &[i64::MAX]),
        (i64::MAX, &[2], &[i64::MAX]),
        (0, &[2, 1 << 62, 4, 0], &[1, 1, 1, 1]),
        (i64::MAX, &[], &[]),
    ];
    for (offset, shape, strides) in views {
        let view = View {
            offset,
            shape,
            strides,
            ..PAIR
        };
        let error = state_dict_error(&dict("w", &view.tensor()));
        let StateDictError::Tensor { error, .. } = error else {
            panic!("{shape:?}: {error}");
        };
        assert!(matches!(error, TensorError::View { .. }), "{shape:?}");
    }
    for (offset, shape, strides) in [
        (-1, &[1][..], &[1][..]),
        (0, &[-1], &[1]),
        (0, &[1], &[-1]),
        (0, &[1, 1], &[1]),
        (0, &[1; 65], &[1; 65]),
    ] {
        let view = View {
            offset,
            shape,
            strides,
            ..PAIR
        };
        let error = state_dict_error(&dict("w", &view.tensor()));
        assert!(matches!(error, StateDictError::Damaged { .. }), "{error}");
    }
}

#[test]
fn checkpoints_that_hold_themselves_or_double_with_every_level_are_given_up() {
    assert_eq!(state_dict_error(b"]q\0h\0a"), StateDictError::TooDeep);
    assert_eq!(
        state_dict_error(b"ctorch.nn.parameter\nParameter\n)\x81q\0h\0\x85b"),
        StateDictError::TooDeep
    );
    assert_eq!(
        state_dict_error(b"ccollections\nOrderedDict\n)Rq\0X\x01\0\0\0kh\0s"),
        StateDictError::TooDeep
    );
    let mut doubling = b"]q\x000".to_vec();
    for level in 0..25_u8 {
        doubling.extend([
            b']',
            b'h',
            level,
            b'a',
            b'h',
            level,
            b'a',
            b'q',
            level + 1,
            b'0',
        ]);
    }
    doubling.extend(b"h\x19");
    assert_eq!(state_dict_error(&doubling), StateDictError::TooMany);
    let mut many = PAIR.tensor();
    many.extend(b"q\x000](");
    many.extend(b"h\0".repeat(20_000));
    many.push(b'e');
    assert_eq!(state_dict_error(&many), StateDictError::TooMany);
}

#[test]
fn a_checkpoint_without_end_is_given_up_within_the_memory_promised() {
    for opcodes in [&b")Q"[..], b"h\0)\x81", b"h\0)R", b"N", b"]", b"N\x94"] {
        let mut object = b"ctorch.nn.parameter\nParameter\nq\0".to_vec();
        while object.len() < 4 << 20 {
            object.extend(opcodes);
        }
        let too_long = |error| matches!(error, TorchError::Pickle(PickleError::TooLong(_)));
        assert!(too_long(torch_error(archive(&object, &[]))), "{opcodes:?}");
        assert!(too_long(torch_error(legacy(&object, &[]))), "{opcodes:?}");
    }
}

#[test]
fn tensors_of_one_name_and_endless_names_are_refused() {
    let pair = PAIR.tensor();
    let twice = [b"}", &text("1")[..], &pair, b"sK\x01", &pair, b"s"].concat();
    let name = "1".to_owned();
    assert_eq!(state_dict_error(&twice), StateDictError::Duplicate { name });
    for object in [
        dict(&"x".repeat(513), &pair),
        dict(&"x".repeat(300), &dict(&"y".repeat(300), &pair)),
        dict("w", &pair)
            .iter()
            .map(|&b| if b == b'w' { 0xff } else { b })
            .collect(),
    ] {
        let error = state_dict_error(&object);
        assert!(matches!(error, StateDictError::Name { .. }), "{error}");
    }
}

#[test]
fn archives_that_torch_does_not_write_say_what_is_wrong() {
    let object = dict("w", &PAIR.tensor());
    let storage: &[(&str, &[u8])] = &[("0", &[0; 8])];
    let with = |name: &str, data: &[u8]| {
        let mut members = members(&object, storage);
        members.push(Member::stored(name, data));
        zip(&members)
    };
    open(with("m/byteorder", b"big")).unwrap();
    let error = torch_error(with("m/byteorder", b"middle\x1b"));
    assert_eq!(error, TorchError::ByteOrder("middle\\x1b".to_owned()));
    let error = torch_error(zip(&members(&object, storage)[1..2]
        .iter()
        .cloned()
        .chain([Member::stored("m/byteorder", b"little")])
        .collect::<Vec<_>>()));
    assert_eq!(error, TorchError::Missing("data.pkl"));
    let packed: Vec<_> = members(&object, storage)
        .iter()
        .map(|m| Member::deflated(std::str::from_utf8(&m.name).unwrap(), &m.data))
        .collect();
    let error = torch_error(zip(&packed));
    assert!(
        matches!(error, TorchError::Zip(ZipError::Compressed { .. })),
        "{error}"
    );
}

#[test]
fn storages_of_the_older_form_must_fill_the_file_as_announced() {
    let object = dict("w", &PAIR.tensor());
    open(legacy(&object, &[("0", 2, &[0; 8])])).unwrap();
    for count in [3, 1 << 40, 1 << 61] {
        let error = torch_error(legacy(&object, &[("0", count, &[0; 8])]));
        let TorchError::Truncated { missing } = error else {
            panic!("{error}");
        };
        assert_eq!(missing, 4 * count - 8);
    }
    let storages: [&[(&str, u64, &[u8])]; 3] = [
        &[("0", u64::MAX, &[0; 8])],
        &[("0", 2, &[0; 8]), ("0", 2, &[0; 8])],
        &[("1", 2, &[0; 8])],
    ];
    for storages in storages {
        let error = torch_error(legacy(&object, storages));
        assert_eq!(error, TorchError::Storages);
    }
    // A part of another storage, and one storage of two types
    let view = [&PAIR.storage()[..PAIR.storage().len() - 2], b"]tQ"].concat();
    let other = View {
        class: "HalfStorage",
        ..PAIR
    };
    let both = [b"](", &PAIR.storage()[..], &other.storage(), b"e"].concat();
    for object in [view, both] {
        let error = torch_error(legacy(&object, &[("0", 2, &[0; 8])]));
        assert!(
            matches!(error, TorchError::StateDict(StateDictError::Damaged { .. })),
            "{error}"
        );
    }
}
