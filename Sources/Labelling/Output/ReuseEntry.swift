import Datasets

/// What a record of a run's files says of one input, in 40 bytes: little-endian numbers in the order of the properties,
/// the flags in 32 bits.
struct ReuseEntry: Equatable {
    /// The input as it was when its row was made.
    var identity: InputIdentity
    /// The length of its row or rows in bytes.
    var rowBytes: UInt32
    /// Whether a later run may take the row: it is no failure, and a change of the file would show.
    var isReusable: Bool
    /// Whether the best class of a task is below the threshold.
    var isBelowThreshold: Bool

    /// The length of an entry in bytes.
    static let byteCount = 40

    /// The entry of an input.
    init(_ identity: InputIdentity, rowBytes: UInt32, isReusable: Bool, isBelowThreshold: Bool) {
        (self.identity, self.rowBytes) = (identity, rowBytes)
        (self.isReusable, self.isBelowThreshold) = (isReusable, isBelowThreshold)
    }

    /// Reads an entry of a record.
    ///
    /// - Parameter bytes: `byteCount` bytes.
    init(_ bytes: UnsafeRawBufferPointer) {
        func number<Number: FixedWidthInteger>(_ offset: Int, _: Number.Type) -> Number {
            Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        identity = InputIdentity(
            path: (number(0, UInt64.self), number(8, UInt64.self)), size: Int(number(16, Int64.self)),
            modified: Int(number(24, Int64.self)))
        rowBytes = number(32, UInt32.self)
        let flags = number(36, UInt32.self)
        isReusable = flags & 1 != 0
        isBelowThreshold = flags & 2 != 0
    }

    /// Appends the entry to those of a record.
    func append(to bytes: inout [UInt8]) {
        func append(_ number: some FixedWidthInteger) {
            withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
        }
        append(identity.path.0)
        append(identity.path.1)
        append(Int64(identity.size))
        append(Int64(identity.modified))
        append(rowBytes)
        append(UInt32((isReusable ? 1 : 0) | (isBelowThreshold ? 2 : 0)))
    }
}
