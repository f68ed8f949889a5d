extension RGBImage {
    /// The picture resized bit for bit as by Pillow's `Image.resize` or torchvision's `resize`.
    ///
    /// Shrinking is antialiased (except by `nearest`). A part of the result has the same pixels as a crop of the whole,
    /// but costs only the part. Memory holds the result and the sums of the unfinished rows.
    ///
    /// - Parameters:
    ///   - size: the size of the whole result, positive.
    ///   - filter: a resampling filter that the backend supports.
    ///   - backend: the library whose resize is reproduced.
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
            for y in resize.inputRows { resize.add(base + y * width * 3, at: y) }
        }
        return resize.finish()
    }

    /// The picture shrunk so that its longer side has at most `side` pixels; a smaller one is not changed.
    package func fitted(to side: Int) -> RGBImage {
        resized(to: size.fitted(to: side), filter: .bilinear)
    }

    /// Decodes a picture and shrinks it so that its longer side has at most `side` pixels.
    ///
    /// A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if that is large enough, and rows are resized as they are
    /// decoded, so that memory does not hold the whole picture, unless the file does not store its rows in order.
    ///
    /// - Throws: `ImageError` as `init(decoding:options:)` does.
    package static func thumbnail(
        decoding bytes: UnsafeRawBufferPointer, side: Int, options: DecodingOptions = DecodingOptions()
    ) throws(ImageError) -> RGBImage {
        var reader = try PictureReader(bytes, options)
        try reader.start { $0.fitted(to: side) }
        guard !reader.isWhole else { return try reader.readAll().fitted(to: side) }
        let orientation = reader.orientation
        let size = reader.original.fitted(to: side)
        var rows = RowResize(
            reader.size.turned(from: orientation), to: size, filter: .bilinear, rows: 0..<size.height,
            columns: 0..<size.width, orientation: orientation)
        var y = 0
        try reader.readEachRow { row in
            rows.add(row, at: y)
            y += 1
        }
        return rows.finish()
    }
}

extension ImageSize {
    /// The size of a picture that is shrunk so that its longer side has at most `side` pixels.
    fileprivate func fitted(to side: Int) -> ImageSize {
        let longer = max(width, height)
        guard longer > side else { return self }
        func scaled(_ extent: Int) -> Int { max(1, (extent * side + longer / 2) / longer) }
        return ImageSize(height: scaled(height), width: scaled(width))
    }
}

/// The library whose resize of 8-bit pictures is reproduced, bit for bit.
///
/// transformers 5 uses torchvision's if it is installed, and Pillow's otherwise.
package enum ResizeBackend: String, CaseIterable, Sendable {
    /// Pillow's: weights of 22 fraction bits; vertically first where that saves work.
    case pillow
    /// torchvision's antialiased one on a CPU: weights of 16 bits with as many fraction bits as fit; always
    /// horizontally first. A centre crop puts the larger half of an odd border below and to the right.
    case torchvision

    /// Whether the library has a filter.
    func supports(_ filter: ResampleFilter) -> Bool { self == .pillow || filter != .box && filter != .hamming }
}

/// A resize that takes the rows of a picture from the top, one at a time, and never holds the picture.
///
/// Each row is resized horizontally and then added to the sums of the output rows that depend on it, or the other way
/// round. So the picture between the two passes is never held either.
///
/// The rows may be those of a picture that is not stored upright. Each pass then runs along the stored direction of its
/// axis, and the result is turned: sums of integers do not depend on their order, so every sample has the same bits.
struct RowResize: ~Copyable {
    /// The input rows on which the result depends; others may be left out.
    let inputRows: Range<Int>
    private let orientation: Orientation
    private var horizontal: HorizontalPass?
    private var vertical: VerticalPass?
    private let isVerticalFirst: Bool
    /// The first column of the result if there is no horizontal pass.
    private let firstColumn: Int
    /// The extents of the result before it is turned.
    private let width: Int
    private let height: Int
    private var pixels: [UInt8] = []

    /// A resize of a picture.
    ///
    /// - Parameters:
    ///   - source: the size of the upright picture.
    ///   - size: the size of the whole upright result, positive.
    ///   - filter: a resampling filter that the backend supports.
    ///   - backend: the library whose resize is reproduced.
    ///   - rows: the rows of the upright result to compute, not empty.
    ///   - columns: the columns of the upright result to compute, not empty.
    ///   - orientation: how the rows must be turned to be upright.
    init(
        _ source: ImageSize, to size: ImageSize, filter: ResampleFilter, backend: ResizeBackend = .pillow,
        rows: Range<Int>, columns: Range<Int>, orientation: Orientation
    ) {
        let across = Direction(filter, backend, source.width, size.width, columns)
        let down = Direction(filter, backend, source.height, size.height, rows)
        // Each pass rounds to 8 bits, so their order matters. Pillow 13 resizes vertically first if that saves work.
        let savesWork =
            size.height < source.height && source.height - size.height > 2 * (source.width - size.width)
        let goesDownFirst = backend == .pillow && savesWork
        var (alongRows, alongColumns) = orientation.swapsSides ? (down, across) : (across, down)
        if orientation.reversesRows { alongRows = alongRows.reversed() }
        if orientation.reversesColumns { alongColumns = alongColumns.reversed() }
        isVerticalFirst =
            alongRows.axis != nil && alongColumns.axis != nil && goesDownFirst != orientation.swapsSides
        self.orientation = orientation
        width = alongRows.range.count
        height = alongColumns.range.count
        firstColumn = alongRows.axis == nil ? alongRows.range.lowerBound : 0
        inputRows = alongColumns.axis?.inputRange ?? alongColumns.range
        horizontal = alongRows.axis.map { HorizontalPass($0, width: alongRows.input) }
        vertical = nil
        if let axis = alongColumns.axis {
            vertical = VerticalPass(axis, samples: (isVerticalFirst ? alongRows.input : width) * 3)
        }
        pixels.reserveCapacity(width * height * 3)
    }

    /// Takes row y, which is greater than in the call before.
    mutating func add(_ row: UnsafePointer<UInt8>, at y: Int) {
        guard inputRows.contains(y) else { return }
        let source = isVerticalFirst ? row : resizedHorizontally(row)
        if vertical == nil { return append(source) }
        while let row = vertical?.finished(before: y) { append(isVerticalFirst ? resizedHorizontally(row) : row) }
        vertical?.add(source, y)
    }

    /// The upright result, once all of `inputRows` have been added.
    consuming func finish() -> RGBImage {
        while let row = vertical?.finished(before: .max) { append(isVerticalFirst ? resizedHorizontally(row) : row) }
        return RGBImage(width: width, height: height, pixels: pixels).turned(from: orientation)
    }

    private mutating func resizedHorizontally(_ row: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        horizontal?.apply(to: row) ?? row + firstColumn * 3
    }

    private mutating func append(_ row: UnsafePointer<UInt8>) {
        pixels.append(contentsOf: UnsafeBufferPointer(start: row, count: width * 3))
    }

    /// The resize in one direction: only a range if the size does not change.
    private struct Direction {
        let input: Int
        let output: Int
        let range: Range<Int>
        let axis: ResampleAxis?

        init(_ filter: ResampleFilter, _ backend: ResizeBackend, _ input: Int, _ output: Int, _ range: Range<Int>) {
            let axis =
                input == output
                ? nil : ResampleAxis(filter: filter, input: input, output: output, range: range, backend: backend)
            self.init(input: input, output: output, range: range, axis: axis)
        }

        private init(input: Int, output: Int, range: Range<Int>, axis: ResampleAxis?) {
            (self.input, self.output, self.range, self.axis) = (input, output, range, axis)
        }

        /// The same in the opposite direction.
        func reversed() -> Direction {
            Direction(
                input: input, output: output, range: output - range.upperBound..<output - range.lowerBound,
                axis: axis?.reversed(input: input))
        }
    }
}
