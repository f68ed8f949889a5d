/// Reads the pickle in a file of tensors without executing anything.
///
/// A pickle is a program for a stack machine. Only the instructions for dictionaries, numbers, texts and tensors are
/// supported, and of the functions that it can call only those that make tensors, which are replaced by descriptions
/// (`PickleName`). All other instructions and names are rejected. Sizes are bounded, and values refer to each other by
/// number, so that a hostile pickle takes memory and time in proportion to its length.
struct PickleReader {
    /// Why a pickle is rejected.
    struct Failure: Error { let reason: String }

    /// The longest pickle accepted; a model of a thousand tensors takes about 300 KB.
    static let maximumLength = 1 << 24
    private static let maximumStack = 1 << 20
    private static let maximumObjects = 1 << 21

    /// The values that contain others.
    private(set) var objects: [PickleObject] = []
    private var stack: [PickleValue] = []
    private var memo: [Int: PickleValue] = [:]
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Reads a pickle to its end.
    ///
    /// - Returns: the reader with its objects, and the value.
    static func read(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> (reader: PickleReader, value: PickleValue) {
        guard bytes.count <= maximumLength else {
            throw Failure(reason: "a pickle of \(bytes.count) bytes; expected at most \(maximumLength)")
        }
        var reader = PickleReader(bytes)
        while true {
            let code = try reader.byte()
            if code == UInt8(ascii: ".") { break }
            try reader.execute(code)
        }
        guard reader.stack.count == 1, let value = reader.stack.first, reader.position == bytes.count else {
            throw Failure(reason: "its pickle does not end where it should")
        }
        return (reader, value)
    }

    // MARK: Instructions

    private mutating func execute(_ code: UInt8) throws(Failure) {
        switch code {
        case 0x80: try checkProtocol()
        case 0x95: _ = try number(8)
        case UInt8(ascii: "N"): try push(.none)
        case 0x88: try push(.bool(true))
        case 0x89: try push(.bool(false))
        case UInt8(ascii: "K"): try push(.int(number(1)))
        case UInt8(ascii: "M"): try push(.int(number(2)))
        case UInt8(ascii: "J"): try push(.int(Int(Int32(truncatingIfNeeded: number(4)))))
        case 0x8A: try push(integer(length: number(1)))
        case 0x8B: try push(integer(length: number(4)))
        case UInt8(ascii: "G"):
            _ = try take(8)
            try push(.other)
        case 0x8C, UInt8(ascii: "U"): try push(.text(text(number(1))))
        case UInt8(ascii: "X"), UInt8(ascii: "T"): try push(.text(text(number(4))))
        case 0x8D: try push(.text(text(number(8))))
        case UInt8(ascii: "C"): try skip(number(1))
        case UInt8(ascii: "B"): try skip(number(4))
        case 0x8E: try skip(number(8))
        case UInt8(ascii: "("): try push(.mark)
        case UInt8(ascii: ")"): try push(object(.tuple([])))
        case UInt8(ascii: "]"): try push(object(.list([])))
        case UInt8(ascii: "}"): try push(object(.dictionary([])))
        case UInt8(ascii: "t"): try push(object(.tuple(popToMark())))
        case 0x85: try push(object(.tuple(pop(1))))
        case 0x86: try push(object(.tuple(pop(2))))
        case 0x87: try push(object(.tuple(pop(3))))
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "1"): _ = try popToMark()
        case UInt8(ascii: "2"): try push(top())
        case UInt8(ascii: "q"): try memorize(number(1))
        case UInt8(ascii: "r"): try memorize(number(4))
        case 0x94: try memorize(memo.count)
        case UInt8(ascii: "h"): try push(remembered(number(1)))
        case UInt8(ascii: "j"): try push(remembered(number(4)))
        case UInt8(ascii: "a"): try append(pop(1))
        case UInt8(ascii: "e"): try append(popToMark())
        case UInt8(ascii: "s"): try set(pop(2))
        case UInt8(ascii: "u"): try set(popToMark())
        case UInt8(ascii: "c"): try push(.name(named(line(), line())))
        case 0x93:
            guard case .text(let name) = try pop(), case .text(let module) = try pop() else { throw Self.malformed }
            try push(.name(named(module, name)))
        case UInt8(ascii: "Q"): try push(storage(pop()))
        case UInt8(ascii: "R"): try reduce()
        case UInt8(ascii: "b"): try build()
        default:
            let digits = String(code, radix: 16)
            throw Failure(
                reason: "instruction 0x\(digits) at byte \(position - 1) of its pickle is none that tensors need: "
                    + "refused, nothing of it was executed")
        }
    }

    private mutating func checkProtocol() throws(Failure) {
        let version = try number(1)
        guard (2...5).contains(version) else {
            throw Failure(reason: "pickle protocol \(version): expected 2 to 5")
        }
    }

    private func named(_ module: String, _ name: String) throws(Failure) -> PickleName {
        if let result = PickleName(module: module, name: name) { return result }
        throw Failure(
            reason: "the file wants to call \(Self.printable(module)).\(Self.printable(name)), which no tensor needs: "
                + "refused, nothing of it was executed; \(PickledTensorsFile.advice)")
    }

    /// A name from a file for messages, cut when long and without control characters.
    private static func printable(_ name: String) -> String {
        String(
            String.UnicodeScalarView(
                name.unicodeScalars.prefix(80).map { $0.properties.generalCategory == .control ? "?" : $0 }))
    }

    // MARK: What is called

    /// The storage of a persistent ID: a tuple of "storage", its type, its key, a device, and the number of its
    /// elements.
    private mutating func storage(_ identity: PickleValue) throws(Failure) -> PickleValue {
        guard let parts = tuple(identity), parts.count == 5, parts[0] == .text("storage"),
            case .name(let name) = parts[1], case .text(let key) = parts[2], case .int(let count) = parts[4], count >= 0
        else { throw Self.malformed }
        switch name {
        case .storage(let type): return try object(.storage(.init(key: key, type: type, count: count)))
        case .untypedStorage: return try object(.storage(.init(key: key, type: nil, count: count)))
        default: throw Self.malformed
        }
    }

    private mutating func reduce() throws(Failure) {
        let parts = try pop(2)
        guard case .name(let name) = parts[0], let arguments = tuple(parts[1]) else { throw Self.malformed }
        try push(call(name, arguments))
    }

    /// The result of a call of one of the known functions.
    private mutating func call(_ name: PickleName, _ arguments: [PickleValue]) throws(Failure) -> PickleValue {
        switch name {
        case .orderedDictionary where arguments.isEmpty: return try object(.dictionary([]))
        case .rebuildTensor: return try tensor(arguments, type: nil)
        case .rebuildTensorWithType:
            guard arguments.count >= 7, case .name(.elementType(let type)) = arguments[6] else { throw Self.malformed }
            var others = arguments
            others.remove(at: 6)
            return try tensor(others, type: type)
        case .rebuildParameter:
            // The tensor, whether it has a gradient, hooks, and its attributes.
            guard (3...4).contains(arguments.count), isTensor(arguments[0]) else { throw Self.malformed }
            return arguments[0]
        case .rebuildFromType:
            guard arguments.count == 4, case .name(let inner) = arguments[0], arguments[1] == .name(.tensorType),
                inner == .rebuildTensor || inner == .rebuildTensorWithType, let values = tuple(arguments[2])
            else { throw Self.malformed }
            return try call(inner, values)
        default: throw Self.malformed
        }
    }

    /// A tensor from its storage, offset, shape and strides; whether it has a gradient, hooks and metadata follow.
    private mutating func tensor(_ arguments: [PickleValue], type: ElementType?) throws(Failure) -> PickleValue {
        guard (6...7).contains(arguments.count), case .object(let index) = arguments[0],
            case .storage(let storage) = objects[index], case .int(let offset) = arguments[1], offset >= 0,
            let shape = sizes(arguments[2]), let strides = sizes(arguments[3]), shape.count == strides.count
        else { throw Self.malformed }
        if arguments.count == 7, arguments[6] != .none {
            // Bits such as "the conjugate" and "the negative of what is stored".
            guard case .object(let index) = arguments[6], case .dictionary(let bits) = objects[index],
                bits.allSatisfy({ $0.value == .bool(false) })
            else { throw Failure(reason: "a tensor that is a view which changes its storage's values (conj, neg)") }
        }
        guard let type = type ?? storage.type else { throw Self.malformed }
        return try object(
            .tensor(.init(storage: storage, type: type, offset: offset, shape: shape, strides: strides)))
    }

    /// The largest number of dimensions of a tensor, as in PyTorch.
    private static let maximumDimensions = 64

    private func sizes(_ value: PickleValue) -> [Int]? {
        guard let values = tuple(value), values.count <= Self.maximumDimensions else { return nil }
        var sizes: [Int] = []
        for value in values {
            guard case .int(let size) = value, size >= 0 else { return nil }
            sizes.append(size)
        }
        return sizes
    }

    /// Sets attributes of a dictionary, which tensors do not need (versions of modules).
    private mutating func build() throws(Failure) {
        _ = try pop()
        guard case .object(let index) = try top(), case .dictionary = objects[index] else { throw Self.malformed }
    }

    // MARK: Values

    /// The elements of a tuple.
    func tuple(_ value: PickleValue) -> [PickleValue]? {
        guard case .object(let index) = value, case .tuple(let values) = objects[index] else { return nil }
        return values
    }

    /// The members of a dictionary.
    func dictionary(_ value: PickleValue) -> [(key: PickleValue, value: PickleValue)]? {
        guard case .object(let index) = value, case .dictionary(let members) = objects[index] else { return nil }
        return members
    }

    /// A tensor's description.
    func tensor(_ value: PickleValue) -> PickleTensor? {
        guard case .object(let index) = value, case .tensor(let tensor) = objects[index] else { return nil }
        return tensor
    }

    private func isTensor(_ value: PickleValue) -> Bool { tensor(value) != nil }

    private mutating func object(_ object: PickleObject) throws(Failure) -> PickleValue {
        guard objects.count < Self.maximumObjects else { throw Failure(reason: "its pickle holds too many values") }
        objects.append(object)
        return .object(objects.count - 1)
    }

    private mutating func append(_ values: [PickleValue]) throws(Failure) {
        guard case .object(let index) = try top(), case .list(var elements) = objects[index] else {
            throw Self.malformed
        }
        objects[index] = .list([])
        elements += values
        objects[index] = .list(elements)
    }

    private mutating func set(_ values: [PickleValue]) throws(Failure) {
        guard case .object(let index) = try top(), case .dictionary(var members) = objects[index],
            values.count.isMultiple(of: 2)
        else { throw Self.malformed }
        objects[index] = .dictionary([])
        for index in stride(from: 0, to: values.count, by: 2) { members.append((values[index], values[index + 1])) }
        objects[index] = .dictionary(members)
    }

    // MARK: The stack and the memo

    private mutating func push(_ value: PickleValue) throws(Failure) {
        guard stack.count < Self.maximumStack else { throw Failure(reason: "its pickle holds too many values") }
        stack.append(value)
    }

    private func top() throws(Failure) -> PickleValue {
        guard let value = stack.last, value != .mark else { throw Self.malformed }
        return value
    }

    private mutating func pop() throws(Failure) -> PickleValue {
        guard let value = stack.popLast(), value != .mark else { throw Self.malformed }
        return value
    }

    private mutating func pop(_ count: Int) throws(Failure) -> [PickleValue] {
        let values = Array(stack.suffix(count))
        guard values.count == count, !values.contains(.mark) else { throw Self.malformed }
        stack.removeLast(count)
        return values
    }

    private mutating func popToMark() throws(Failure) -> [PickleValue] {
        guard let mark = stack.lastIndex(of: .mark) else { throw Self.malformed }
        let values = Array(stack[(mark + 1)...])
        stack.removeSubrange(mark...)
        return values
    }

    private mutating func memorize(_ index: Int) throws(Failure) {
        guard memo.count < Self.maximumObjects else { throw Failure(reason: "its pickle holds too many values") }
        memo[index] = try top()
    }

    private func remembered(_ index: Int) throws(Failure) -> PickleValue {
        guard let value = memo[index] else { throw Self.malformed }
        return value
    }

    // MARK: Bytes

    private static let malformed = Failure(reason: "its pickle is not one of tensors by name, or is damaged")

    private mutating func take(_ count: Int) throws(Failure) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count - position else {
            throw Failure(reason: "its pickle is damaged or cut short")
        }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    private mutating func byte() throws(Failure) -> UInt8 { try take(1)[0] }

    /// An unsigned number of `count` bytes, little-endian.
    private mutating func number(_ count: Int) throws(Failure) -> Int {
        let value = try take(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let value = Int(exactly: value) else { throw Self.malformed }
        return value
    }

    /// A signed number of `length` bytes, little-endian; one longer than 8 bytes becomes a value that no tensor needs.
    private mutating func integer(length: Int) throws(Failure) -> PickleValue {
        let digits = try take(length)
        guard length <= 8 else { return .other }
        guard let last = digits.last else { return .int(0) }
        let sign: UInt64 = last & 0x80 == 0 ? 0 : .max
        return .int(Int(truncatingIfNeeded: digits.reversed().reduce(sign) { $0 << 8 | UInt64($1) }))
    }

    private mutating func text(_ count: Int) throws(Failure) -> String {
        guard let text = String(validating: try take(count), as: UTF8.self) else {
            throw Failure(reason: "its pickle holds a text that is not UTF-8")
        }
        return text
    }

    private mutating func line() throws(Failure) -> String {
        let rest = bytes[position...]
        guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { throw Self.malformed }
        let text = try text(end - position)
        position += 1
        return text
    }

    private mutating func skip(_ count: Int) throws(Failure) {
        _ = try take(count)
        try push(.other)
    }
}
