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

    /// The picture made smaller, so that its longer side has at most so many pixels; a smaller one stays as it is.
    package func fitted(to side: Int) -> RGBImage {
        let longer = max(width, height)
        guard longer > side else { return self }
        func scaled(_ extent: Int) -> Int { max(1, (extent * side + longer / 2) / longer) }
        return resized(to: ImageSize(height: scaled(height), width: scaled(width)), filter: .bilinear)
    }
}

/// Whose resize of 8-bit pictures is computed, bit for bit.
///
/// transformers 5 uses torchvision's where torchvision is installed, and Pillow's otherwise.
package enum ResizeBackend: String, CaseIterable, Sendable {
    /// Pillow's: weights of 22 fraction bits; vertically first where that saves work.
    case pillow
    /// torchvision's antialiased one on a CPU: weights of 16 bits with as many fraction bits as fit; always
    /// horizontally first. A centre crop puts the larger half of an odd border below and to the right.
    case torchvision

    /// Whether it has a filter.
    func has(_ filter: ResampleFilter) -> Bool { self == .pillow || filter != .box && filter != .hamming }
}

/// A resize that is given the rows of a picture from the top, one at a time, and never holds the picture.
///
/// A row is resized horizontally, and then added to the sums of every output row that it takes part in; or the other
/// way round. So the picture between the passes never exists whole either.
///
/// The rows may be those of a picture that is not stored upright. What the backend does with the upright picture is
/// then done with each axis along the direction in which it lies, and the result is turned: sums of whole numbers do
/// not depend on their order, so every sample has the same bits.
struct RowResize: ~Copyable {
    /// The rows that take part; others need not be given.
    let needed: Range<Int>
    private let orientation: Orientation
    private var horizontal: HorizontalPass?
    private var vertical: VerticalPass?
    private let isVerticalFirst: Bool
    /// The first column that counts where there is no horizontal pass.
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
    ///   - filter: the resampling filter, one that the backend has.
    ///   - backend: whose resize it is.
    ///   - rows: the rows of the upright result to compute, not empty.
    ///   - columns: the columns of the upright result to compute, not empty.
    ///   - orientation: how the picture whose rows are given has to be turned.
    init(
        _ source: ImageSize, to size: ImageSize, filter: ResampleFilter, backend: ResizeBackend = .pillow,
        rows: Range<Int>, columns: Range<Int>, orientation: Orientation
    ) {
        let across = Direction(filter, backend, source.width, size.width, columns)
        let down = Direction(filter, backend, source.height, size.height, rows)
        // Each pass rounds to 8 bits, so their order shows. Pillow 13 goes vertically first where that saves work.
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
        needed = alongColumns.axis?.needed ?? alongColumns.range
        horizontal = alongRows.axis.map { HorizontalPass($0, width: alongRows.input) }
        vertical = nil
        if let axis = alongColumns.axis {
            vertical = VerticalPass(axis, samples: (isVerticalFirst ? alongRows.input : width) * 3)
        }
        pixels.reserveCapacity(width * height * 3)
    }

    /// Takes a row; y goes up from call to call.
    mutating func add(_ row: UnsafePointer<UInt8>, at y: Int) {
        guard needed.contains(y) else { return }
        let source = isVerticalFirst ? row : narrowed(row)
        if vertical == nil { return append(source) }
        while let row = vertical?.finished(before: y) { append(isVerticalFirst ? narrowed(row) : row) }
        vertical?.add(source, y)
    }

    /// The result, upright, after all rows that are needed.
    consuming func finish() -> RGBImage {
        while let row = vertical?.finished(before: .max) { append(isVerticalFirst ? narrowed(row) : row) }
        return RGBImage(width: width, height: height, pixels: pixels).turned(from: orientation)
    }

    private mutating func narrowed(_ row: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        horizontal?.apply(to: row) ?? row + firstColumn * 3
    }

    private mutating func append(_ row: UnsafePointer<UInt8>) {
        pixels.append(contentsOf: UnsafeBufferPointer(start: row, count: width * 3))
    }

    /// What happens in one direction: nothing but a choice where the size stays.
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

        /// The same from the other end.
        func reversed() -> Direction {
            Direction(
                input: input, output: output, range: output - range.upperBound..<output - range.lowerBound,
                axis: axis?.reversed(input: input))
        }
    }
}
