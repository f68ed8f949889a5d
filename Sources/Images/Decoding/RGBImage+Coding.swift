import CImageCodecs

extension RGBImage {
    /// Decodes a picture, whose format is recognized by its first bytes.
    ///
    /// The result is upright (EXIF orientation is applied), 8-bit and RGB: gray is repeated, 16-bit samples are
    /// rounded, CMYK is converted, transparency is handled as `options.alpha` says. Gamma and colour profiles are
    /// ignored.
    ///
    /// - Throws: `ImageError` when the data is in no known format, has more pixels than allowed, or is cut short or
    ///   corrupt: there are no partial pictures.
    package init(
        decoding bytes: UnsafeRawBufferPointer, options: DecodingOptions = DecodingOptions()
    ) throws(ImageError) {
        self = try Self.decode(bytes, options: options, least: nil).picture
    }

    /// Decodes a picture, and a JPEG at 1/2, 1/4 or 1/8 of its size if neither side gets shorter than the size that
    /// `least` returns for that of the upright picture.
    ///
    /// - Returns: the picture, and its size when decoded in full.
    /// - Throws: `ImageError` as `init(decoding:options:)` does.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, options: DecodingOptions, least: ((ImageSize) -> ImageSize)?
    ) throws(ImageError) -> (picture: RGBImage, original: ImageSize) {
        var reader = try PictureReader(bytes, options)
        try reader.start(least: least)
        let picture = try reader.readAll()
        return (picture, reader.original)
    }

    /// Decodes a picture from an array of bytes.
    ///
    /// - Throws: `ImageError` as for any bytes.
    package init(decoding bytes: [UInt8], options: DecodingOptions = DecodingOptions()) throws(ImageError) {
        let result: Result<RGBImage, ImageError> = bytes.withUnsafeBytes { raw in
            do throws(ImageError) {
                return .success(try RGBImage(decoding: raw, options: options))
            } catch { return .failure(error) }
        }
        self = try result.get()
    }
}

extension RGBImage {
    /// The picture as a baseline JPEG.
    ///
    /// - Parameter quality: 1 to 100, as libjpeg takes it.
    /// - Throws: `ImageError` when a side is too long for the format or there is no memory.
    package func encodedAsJPEG(quality: Int = 80) throws(ImageError) -> [UInt8] {
        // A JPEG is never twice as large as its pixels; headers and tables take less than the rest.
        let capacity = 2 * pixels.count + 4096
        var problem: ImageError?
        let data = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, initialized in
            var size = 0
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(MV_MESSAGE_SIZE)) { message in
                message.initialize(repeating: 0)
                let status = pixels.withUnsafeBufferPointer { pixels in
                    mv_jpeg_encode(
                        pixels.baseAddress, UInt32(width), UInt32(height), CInt(min(max(quality, 1), 100)),
                        buffer.baseAddress, buffer.count, &size, message.baseAddress)
                }
                guard Int(status) != MV_OK else { return }
                let text = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                problem = ImageError(
                    kind: Int(status) == MV_NO_MEMORY ? .outOfMemory : .tooLarge, reason: "JPEG: \(text)")
            }
            initialized = problem == nil ? size : 0
        }
        if let problem { throw problem }
        return data
    }
}
