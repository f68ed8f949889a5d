/// libFuzzer target: the orientation in EXIF data, alone and within a JPEG file. Compiled together with Sources/Images.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOrientation(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: data, count: count)
    _ = Orientation(tiff: bytes)
    _ = Orientation(jpeg: bytes)
    return 0
}
