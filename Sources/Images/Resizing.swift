import CKernels

extension RGBImage {
    /// The picture resized as Pillow's `Image.resize` does it, bit for bit.
    ///
    /// Shrinking is antialiased (except by `nearest`). Only a part of the result may be asked for; it has the pixels
    /// that cropping the whole result would give, at the cost of the part. Besides the result, memory is taken for the
    /// sums of the rows under way: a few when shrinking, as many as one row spreads over when enlarging.
    ///
    /// - Parameters:
    ///   - size: the size of the whole result, positive.
    ///   - filter: the resampling filter.
    ///   - rows: the rows of the result to compute, all unless told otherwise.
    ///   - columns: the columns of the result to compute, all unless told otherwise.
    public func resized(
        to size: ImageSize, filter: ResampleFilter, rows: Range<Int>? = nil, columns: Range<Int>? = nil
    ) -> RGBImage {
        let rows = rows ?? 0..<size.height
        let columns = columns ?? 0..<size.width
        precondition(
            !rows.isEmpty && !columns.isEmpty && rows.lowerBound >= 0 && rows.upperBound <= size.height
                && columns.lowerBound >= 0 && columns.upperBound <= size.width, "part outside the result")
        if size.width == width, size.height == height {
            return rows.count == height && columns.count == width ? self : cropped(rows: rows, columns: columns)
        }
        if filter == .nearest { return resizedToNearest(size, rows, columns) }
        let result = [UInt8](unsafeUninitializedCapacity: rows.count * columns.count * 3) { buffer, initialized in
            pixels.withUnsafeBufferPointer { source in
                guard let from = source.baseAddress, let to = buffer.baseAddress else { return }
                resample(from, to, size, filter, rows, columns)
            }
            initialized = rows.count * columns.count * 3
        }
        return RGBImage(width: columns.count, height: rows.count, pixels: result)
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

    /// Pillow adds the scale up from pixel to pixel, so the same roundings happen here.
    private func resizedToNearest(_ size: ImageSize, _ rows: Range<Int>, _ columns: Range<Int>) -> RGBImage {
        func sources(_ input: Int, _ output: Int, _ range: Range<Int>) -> [Int] {
            let scale = Double(input) / Double(output)
            var position = scale * 0.5
            var sources: [Int] = []
            for pixel in 0..<range.upperBound {
                if pixel >= range.lowerBound { sources.append(min(Int(position), input - 1)) }
                position += scale
            }
            return sources
        }
        let sourceColumns = sources(width, size.width, columns)
        var result: [UInt8] = []
        result.reserveCapacity(rows.count * columns.count * 3)
        for y in sources(height, size.height, rows) {
            for x in sourceColumns {
                let start = (y * width + x) * 3
                result.append(pixels[start])
                result.append(pixels[start + 1])
                result.append(pixels[start + 2])
            }
        }
        return RGBImage(width: columns.count, height: rows.count, pixels: result)
    }

    /// Both passes, one input row at a time: a row is resized horizontally, and then added to the sums of every output row
    /// that it takes part in; or the other way round. So the picture between the passes never exists whole.
    private func resample(
        _ from: UnsafePointer<UInt8>, _ to: UnsafeMutablePointer<UInt8>, _ size: ImageSize, _ filter: ResampleFilter,
        _ rows: Range<Int>, _ columns: Range<Int>
    ) {
        var horizontal = size.width == width ? nil : HorizontalPass(filter, width, size.width, columns)
        // Each pass rounds to 8 bits, so their order shows. Pillow 13 goes vertically first where that saves work.
        let isVerticalFirst =
            horizontal != nil && size.height < height && height - size.height > 2 * (width - size.width)
        var result = to
        func narrowed(_ row: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
            horizontal?.apply(to: row) ?? row
        }
        func append(_ row: UnsafePointer<UInt8>) {
            result.update(from: isVerticalFirst ? narrowed(row) : row, count: columns.count * 3)
            result += columns.count * 3
        }
        func source(_ y: Int) -> UnsafePointer<UInt8> {
            if isVerticalFirst { return from + y * width * 3 }
            if horizontal == nil { return from + (y * width + columns.lowerBound) * 3 }
            return narrowed(from + y * width * 3)
        }
        if size.height == height {
            for y in rows { append(source(y)) }
            return
        }
        let axis = ResampleAxis(filter: filter, input: height, output: size.height, range: rows)
        var vertical = VerticalPass(axis, samples: isVerticalFirst ? width * 3 : columns.count * 3)
        for y in axis.needed {
            while let row = vertical.finished(before: y) { append(row) }
            vertical.add(source(y), y)
        }
        while let row = vertical.finished(before: .max) { append(row) }
    }
}

/// Resizes rows horizontally, one at a time.
private struct HorizontalPass: ~Copyable {
    private let starts: [Int32]
    private let weights: [Int32]
    private let taps: Int
    private let width: Int
    /// The row with zeros behind it, for pictures narrower than the kernel's groups.
    private var padded: [UInt8]
    private let output: UnsafeMutablePointer<UInt8>

    init(_ filter: ResampleFilter, _ width: Int, _ newWidth: Int, _ columns: Range<Int>) {
        let axis = ResampleAxis(filter: filter, input: width, output: newWidth, range: columns)
        let group = Int(MV_RESAMPLE_GROUP)
        let taps = (axis.stride + group - 1) / group * group
        let readable = max(width, taps)
        var starts: [Int32] = []
        var weights = [Int32](repeating: 0, count: columns.count * taps * 3)
        for index in 0..<columns.count {
            // The window is moved left where it would stick out of the row; its weights move right within it.
            let start = min(axis.starts[index], readable - taps)
            let shift = axis.starts[index] - start
            starts.append(Int32(truncatingIfNeeded: start))
            for tap in 0..<axis.counts[index] {
                let weight = axis.weights[index * axis.stride + tap]
                for channel in 0..<3 { weights[(index * taps + shift + tap) * 3 + channel] = weight }
            }
        }
        self.starts = starts
        self.weights = weights
        self.taps = taps
        self.width = width
        padded = width < taps ? [UInt8](repeating: 0, count: taps * 3) : []
        output = .allocate(capacity: columns.count * 3)
    }

    deinit { output.deallocate() }

    /// The resized row, which stays valid until the next call.
    mutating func apply(to row: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        if padded.isEmpty {
            mv_resample_row(row, starts, weights, taps, starts.count, output)
        } else {
            for index in 0..<width * 3 { padded[index] = row[index] }
            mv_resample_row(padded, starts, weights, taps, starts.count, output)
        }
        return UnsafePointer(output)
    }
}

/// Takes rows from the top to the bottom and gives the vertically resized rows as they are done.
private struct VerticalPass: ~Copyable {
    private let axis: ResampleAxis
    private let samples: Int
    /// The sums of the output rows that are under way; output row y has slot y mod `slots`.
    private let sums: UnsafeMutablePointer<Int32>
    private let slots: Int
    private let output: UnsafeMutablePointer<UInt8>
    private var begun = 0
    private var done = 0

    init(_ axis: ResampleAxis, samples: Int) {
        self.axis = axis
        self.samples = samples
        var most = 1
        var first = 0
        for index in axis.starts.indices {
            while first < index, axis.starts[first] + axis.counts[first] <= axis.starts[index] { first += 1 }
            most = max(most, index - first + 1)
        }
        slots = most
        sums = .allocate(capacity: most * samples)
        output = .allocate(capacity: samples)
    }

    deinit {
        sums.deallocate()
        output.deallocate()
    }

    /// Adds input row y. The output rows finished before it have been taken.
    mutating func add(_ row: UnsafePointer<UInt8>, _ y: Int) {
        while begun < axis.starts.count, axis.starts[begun] <= y {
            mv_resample_start(sums + begun % slots * samples, samples)
            begun += 1
        }
        for index in done..<begun where y < axis.starts[index] + axis.counts[index] {
            let weight = axis.weights[index * axis.stride + y - axis.starts[index]]
            mv_resample_accumulate(row, weight, sums + index % slots * samples, samples)
        }
    }

    /// The next output row, if it takes nothing from input row y on; it stays valid until the next call.
    mutating func finished(before y: Int) -> UnsafePointer<UInt8>? {
        guard done < begun, axis.starts[done] + axis.counts[done] <= y else { return nil }
        mv_resample_finish(sums + done % slots * samples, output, samples)
        done += 1
        return UnsafePointer(output)
    }
}
