import Files

/// The JSON parser and writer. What is accepted is written and read again as the same value.
func fuzzJSON(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let value = try? JSON(parsing: UnsafeRawBufferPointer(start: data, count: count)) else { return 0 }
    for indented in [false, true] {
        let again = try? JSON(parsing: Array(value.serialized(indented: indented).utf8))
        precondition(again == value, "a value is not what it was written as")
    }
    return 0
}
