extension RGBImage {
    /// The picture resized as Pillow's `Image.resize`, or torchvision's `resize`, does it, bit for bit.
    ///
    /// Shrinking is antialiased (except by `nearest`). Only a part of the result may be asked for; it has the pixels
    /// that cropping the whole result would give, at the cost of the part. Besides the result, memory is taken for the
    /// sums of the rows under way: a few when shrinking, as many as one row spreads over when enlarging.
    ///
    /// - Parameters:
    ///   - size: the size of the whole result, positive.
    ///   - filter: the resampling filter, one that the backend has.
    ///   - backend: whose resize it is.
    ///   - rows: the rows of the result to compute, all unless specified.
    ///   - columns: the columns of the result to compute, all unless specified.
    package func resized(
        to size: ImageSize, filter: ResampleFilter, backend: ResizeBackend = .pillow, rows: Range<Int>? = nil,
        columns: Range<Int>? = nil
    ) -> RGBImage {
        let rows = rows ?? 0..<size.height
        let columns = columns ?? 0..<size.width
        precondition(
            !rows.isEmpty && !columns.isEmpty && rows.lowerBound >= 0 && rows.upperBound <= size.height
                && columns.lowerBound >= 0 && columns.upperBound <= size.width, "part outside the result")
        if size.width == width, size.height == height {
            return rows.count == height && columns.count == width ? self : cropped(rows: rows, columns: columns)
        }
        var resize = RowResize(
            self.size, to: size, filter: filter, backend: backend, rows: rows, columns: columns,
            orientation: .upright)
        pixels.withUnsafeBufferPointer { source in
            guard let base = source.baseAddress else { return }
            for y in resize.needed { resize.add(base + y * width * 3, at: y) }
        }
        return resize.finish()
    }

    /// A part of the picture; the ranges lie within it.
    func cropped(rows: Range<Int>, columns: Range<Int>) -> RGBImage {
        var result: [UInt8] = []
        result.reserveCapacity(rows.count * columns.count * 3)
        for y in rows {
            let start = (y * width + columns.lowerBound) * 3
            result += pixels[start..<start + columns.count * 3]
        }
        return RGBImage(width: columns.count, height: rows.count, pixels: result)
    }
}
