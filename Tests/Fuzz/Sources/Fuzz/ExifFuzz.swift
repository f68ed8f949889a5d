@testable import Images

/// The orientation in EXIF data, alone and within JPEG and PNG files, and in XMP.
func fuzzOrientation(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: data, count: count)
    _ = Orientation.recorded(inEXIF: bytes)
    _ = Orientation.recorded(inXMP: bytes)
    _ = Orientation(jpeg: bytes)
    _ = try? Orientation(png: bytes)
    return 0
}
