/// The values in the pickle of a file of tensors: plain values, and descriptions of tensors. None can be called.
enum PickleValue: Equatable {
    case none
    case bool(Bool)
    case int(Int)
    case text(String)
    /// A number or bytes that no tensor needs.
    case other
    /// The name of a function or type.
    case name(PickleName)
    /// A tuple, list, dictionary, storage or tensor: its index in `PickleReader.objects`.
    case object(Int)
    /// Where the elements of a tuple begin on the stack.
    case mark
}

/// Values that contain others by their indices, so that neither cycles nor depth matter.
enum PickleObject {
    case tuple([PickleValue])
    case list([PickleValue])
    case dictionary([(key: PickleValue, value: PickleValue)])
    case storage(PickleStorage)
    case tensor(PickleTensor)
}

/// A block of elements, the member `data/KEY` of the archive.
struct PickleStorage: Equatable {
    let key: String
    /// The type of its elements; nil when only its tensors have one.
    let type: ElementType?
    /// The number of elements; of bytes in a block without a type.
    let count: Int
}

/// A view of a storage.
struct PickleTensor: Equatable {
    let storage: PickleStorage
    let type: ElementType
    /// The first element's index in the storage.
    let offset: Int
    let shape: [Int]
    let strides: [Int]
}

/// The functions and types that a pickle of tensors names; all other names are rejected.
enum PickleName: Equatable {
    case rebuildTensor
    case rebuildTensorWithType
    case rebuildParameter
    case rebuildFromType
    case orderedDictionary
    case storage(ElementType)
    case untypedStorage
    case elementType(ElementType)
    case tensorType

    private static let others: [String: PickleName] = [
        "torch._utils._rebuild_tensor_v2": .rebuildTensor,
        "torch._utils._rebuild_tensor_v3": .rebuildTensorWithType,
        "torch._utils._rebuild_parameter": .rebuildParameter,
        "torch._utils._rebuild_parameter_with_state": .rebuildParameter,
        "torch._tensor._rebuild_from_type_v2": .rebuildFromType,
        "collections.OrderedDict": .orderedDictionary,
        "torch.storage.UntypedStorage": .untypedStorage,
        "torch.UntypedStorage": .untypedStorage,
        "torch.Tensor": .tensorType,
        "torch.nn.parameter.Parameter": .tensorType,
    ]

    private static let types: [(storage: String, names: [String], type: ElementType)] = [
        ("Float", ["float32", "float"], .float32), ("Half", ["float16", "half"], .float16),
        ("BFloat16", ["bfloat16"], .bfloat16), ("Double", ["float64", "double"], .float64),
        ("Long", ["int64", "long"], .int64), ("Int", ["int32", "int"], .int32),
        ("Short", ["int16", "short"], .int16), ("Char", ["int8"], .int8), ("Byte", ["uint8"], .uint8),
        ("Bool", ["bool"], .bool), ("", ["uint16"], .uint16), ("", ["uint32"], .uint32), ("", ["uint64"], .uint64),
    ]

    /// The meaning of a name in a module; nil for all that tensors do not need.
    init?(module: String, name: String) {
        let path = "\(module).\(name)"
        if let other = Self.others[path] {
            self = other
            return
        }
        for (storage, names, type) in Self.types {
            if !storage.isEmpty, path == "torch.\(storage)Storage" || path == "torch.storage.\(storage)Storage" {
                self = .storage(type)
                return
            }
            if names.contains(where: { path == "torch.\($0)" }) {
                self = .elementType(type)
                return
            }
        }
        return nil
    }
}
