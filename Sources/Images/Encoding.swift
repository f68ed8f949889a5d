import CImageCodecs

extension RGBImage {
    /// The picture as a baseline JPEG.
    ///
    /// - Parameter quality: 1 to 100, as libjpeg takes it.
    /// - Throws: `ImageError` when a side is too long for the format or there is no memory.
    package func encodedAsJPEG(quality: Int = 80) throws(ImageError) -> [UInt8] {
        // A JPEG is never so much larger than its pixels; headers and tables take less than the rest.
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

    /// The picture made smaller, so that its longer side has at most so many pixels; a smaller one stays as it is.
    package func fitted(to side: Int) -> RGBImage {
        let longer = max(width, height)
        guard longer > side else { return self }
        func scaled(_ extent: Int) -> Int { max(1, (extent * side + longer / 2) / longer) }
        return resized(to: ImageSize(height: scaled(height), width: scaled(width)), filter: .bilinear)
    }
}
