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
