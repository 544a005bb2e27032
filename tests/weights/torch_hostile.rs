//! PyTorch files made to do harm: always an error in words, never a call, a panic or an endless loop,
//! never more memory than the file and 64 MiB beside it.

use gradcam::weights::{
    self, ContentsError, InPartsError, PickleError, StateDictError, TensorError, TorchError,
    ZipError,
};

use crate::common::handmade::{doubling_lists, open};
use crate::common::memory;
use crate::common::torch_writer::{PAIR, View, archive, dict, legacy, members, text};
use crate::common::zip_writer::{Member, zip};

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

#[test]
fn a_checkpoint_that_calls_a_function_is_refused_by_the_functions_name() {
    for (call, name) in [
        ("cos\nsystem\n", "os.system"),
        ("cbuiltins\neval\n", "builtins.eval"),
        ("ctorch\nload\n", "torch.load"),
        ("csubprocess\nPopen\n", "subprocess.Popen"),
    ] {
        let object = dict("w", &[call.as_bytes(), b"(tR"].concat());
        for file in [archive(&object, &[]), legacy(&object, &[])] {
            let name = name.to_owned();
            let expected = TorchError::Pickle(PickleError::Refused { name });
            assert_eq!(torch_error(file), expected);
        }
    }
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
        (0, &[(1 << 27) + 1], &[0]),
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
    let pair = PAIR.tensor();
    let with = |start: &[u8], end: &[u8]| [start, &pair, end].concat();
    // A list of a tensor and itself, a parameter of itself, a dictionary of itself
    assert_eq!(
        state_dict_error(&with(b"]q\0", b"ah\0a")),
        StateDictError::TooDeep
    );
    assert_eq!(
        state_dict_error(&with(
            b"ctorch.nn.parameter\nParameter\n)\x81q\0h\0",
            b"\x86b"
        )),
        StateDictError::TooDeep
    );
    assert_eq!(
        state_dict_error(&with(
            b"ccollections\nOrderedDict\n)Rq\0X\x01\0\0\0kh\0sX\x01\0\0\0t",
            b"s"
        )),
        StateDictError::TooDeep
    );
    // Modules within each other, which no program can make
    let module = [
        b"ca\nM\n)\x81q\0}(",
        &text("_parameters")[..],
        &dict("t", &pair),
        &text("_buffers"),
        b"}",
        &text("_modules"),
        &dict("m", b"h\0"),
        b"ub",
    ]
    .concat();
    assert_eq!(state_dict_error(&module), StateDictError::TooDeep);
    // Other objects do hold each other.
    let object = [
        b"ca\nTrainer\n)\x81q\0}(",
        &text("me")[..],
        b"h\0",
        &text("w"),
        &pair,
        b"ub",
    ]
    .concat();
    let weights = open(archive(&object, &[("0", &[0; 8])])).unwrap();
    assert_eq!(weights.order, ["w"]);
    // The same without tensors is nothing at all.
    assert!(matches!(
        open(archive(b"]q\0h\0a", &[])),
        Err(ContentsError::NoTensors { .. })
    ));
    let doubling = doubling_lists();
    let doubling = [b"]", &pair[..], b"aq\0", &doubling[3..]].concat();
    assert_eq!(state_dict_error(&doubling), StateDictError::TooMany);
    let mut many = PAIR.tensor();
    many.extend(b"q\x000](");
    many.extend(b"h\0".repeat(20_000));
    many.push(b'e');
    assert_eq!(state_dict_error(&many), StateDictError::TooMany);
}

#[test]
fn objects_take_bounded_memory_whatever_they_are_called() {
    // More classes than are kept by name
    let mut object = dict("w", &PAIR.tensor());
    object.extend(b"(");
    for i in 0..20_000 {
        object.extend(format!("Vk{i}\nca\nClass{i}\n)R").as_bytes());
    }
    object.push(b'u');
    let weights = open(archive(&object, &[("0", &[0; 8])])).unwrap();
    assert!(
        weights.notes[0].contains("a.Class0, a.Class1"),
        "{:?}",
        weights.notes
    );
    assert!(
        weights.notes[0].ends_with(" and 4090 more"),
        "{:?}",
        weights.notes
    );
}

#[test]
fn tensors_that_unknown_functions_make_are_none() {
    let made = [b"cmy\nrotate\n".as_slice(), &PAIR.tensor(), b"\x85R"].concat();
    let both = [
        b"}(",
        &text("v")[..],
        &PAIR.tensor(),
        &text("w"),
        &made,
        b"u",
    ]
    .concat();
    let weights = open(archive(&both, &[("0", &[0; 8])])).unwrap();
    assert_eq!(weights.order, ["v"]);
    assert_eq!(weights.skipped["w"].dtype, "a tensor that my.rotate makes");
}

#[test]
fn quantised_tensors_that_do_not_fit_their_scales_are_damage() {
    let storage = View {
        class: "QInt8Storage",
        len: 8,
        ..PAIR
    }
    .storage();
    let with = |params: &[u8]| {
        let tensor = [
            b"ctorch._utils\n_rebuild_qtensor\n(".as_slice(),
            &storage,
            b"K\0K\x08\x85K\x01\x85(",
            params,
            b"t\x89NtR",
        ];
        archive(&dict("w", &tensor.concat()), &[("0", &[2; 8])])
    };
    let half = b"G\x3f\xe0\0\0\0\0\0\0";
    let weights = open(with(
        &[b"ctorch\nper_tensor_affine\n", &half[..], b"K\x01"].concat(),
    ))
    .unwrap();
    assert_eq!(weights.tensors["w"].to_vec(), [0.5; 8]);
    for params in [
        &b""[..],
        b"N",
        b"ctorch\nper_tensor_affine\n",
        b"ctorch\nper_tensor_affine\nK\x01K\x01",
        b"ctorch\nper_channel_affine\nK\x01K\x01K\0",
        b"ctorch\nper_channel_affine\nK\x01K\x01K\x09",
        b"ctorch\nper_channel_affine\nK\x01K\x01J\xff\xff\xff\xff",
    ] {
        let error = torch_error(with(params));
        assert!(
            matches!(error, TorchError::StateDict(StateDictError::Damaged { .. })),
            "{params:?}: {error}"
        );
    }
    let short = dict(
        "w",
        &[
            b"ctorch._utils\n_rebuild_qtensor\n(",
            &storage[..],
            b"K\0))tR",
        ]
        .concat(),
    );
    let error = torch_error(archive(&short, &[("0", &[2; 8])]));
    assert!(matches!(
        error,
        TorchError::StateDict(StateDictError::Damaged { .. })
    ));
    // One byte, shown so often that its numbers would fill any memory
    let tensor = [
        b"ctorch._utils\n_rebuild_qtensor\n(".as_slice(),
        &storage,
        b"K\0J\0\0\0\x07\x85K\0\x85(ctorch\nper_tensor_affine\n",
        half,
        b"K\x01t\x89NtR",
    ];
    let error = torch_error(archive(&dict("w", &tensor.concat()), &[("0", &[2; 8])]));
    assert_eq!(error, TorchError::StateDict(StateDictError::TooLarge));
}

#[test]
fn tensors_in_parts_that_do_not_fit_are_told() {
    let pair = PAIR.tensor();
    let single = View {
        shape: &[1],
        ..PAIR
    }
    .tensor();
    for (values, part) in [
        ("w_orig", "w_mask"),
        ("w_v", "w_g"),
        (
            "m.parametrizations.w.original1",
            "m.parametrizations.w.original0",
        ),
    ] {
        let other = if part.ends_with('g') || part.ends_with('0') {
            View {
                shape: &[3],
                strides: &[0],
                ..PAIR
            }
            .tensor()
        } else {
            single.clone()
        };
        let both = [b"}(", &text(values)[..], &pair, &text(part), &other, b"u"].concat();
        let error = open(archive(&both, &[("0", &[0; 8])])).unwrap_err();
        assert!(
            matches!(error, ContentsError::InParts(InPartsError::Shape { .. })),
            "{error}"
        );
    }
    // Norms over one byte that is shown a milliard times
    let wide = View {
        shape: &[1, 1 << 27],
        strides: &[0, 0],
        ..PAIR
    }
    .tensor();
    let length = View {
        shape: &[],
        strides: &[],
        ..PAIR
    }
    .tensor();
    let mut object = b"}(".to_vec();
    for i in 0..9 {
        object.extend(
            [
                text(&format!("{i}_v")),
                wide.clone(),
                text(&format!("{i}_g")),
                length.clone(),
            ]
            .concat(),
        );
    }
    object.push(b'u');
    let (result, taken) = memory::peak(|| weights::from_bytes(archive(&object, &[("0", &[0; 8])])));
    let error = result.unwrap_err();
    assert!(
        matches!(error, ContentsError::InParts(InPartsError::TooLarge)),
        "{error}"
    );
    assert!(taken < 64 << 20, "{taken}");
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
