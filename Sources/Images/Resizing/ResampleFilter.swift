import Glibc

/// The resampling filters of Pillow, by their numbers in `preprocessor_config.json`.
package enum ResampleFilter: Int, CaseIterable, Sendable {
    /// The nearest pixel.
    case nearest = 0
    /// A windowed sinc over three pixels each way.
    case lanczos = 1
    /// Linear interpolation when enlarging, a triangle filter of the necessary width when shrinking.
    case bilinear = 2
    /// The cubic convolution kernel with a = -1/2.
    case bicubic = 3
    /// The mean of the pixels covered.
    case box = 4
    /// A Hamming window over one pixel each way.
    case hamming = 5

    /// The radius of the filter, in pixels of the smaller picture.
    var support: Double {
        switch self {
        case .nearest, .box: 0.5
        case .bilinear, .hamming: 1
        case .bicubic: 2
        case .lanczos: 3
        }
    }

    /// The weight at a distance from the centre. The expressions are Pillow's, because their rounding matters.
    func weight(at distance: Double) -> Double {
        switch self {
        case .nearest, .box:
            return distance > -0.5 && distance <= 0.5 ? 1 : 0
        case .bilinear:
            return abs(distance) < 1 ? 1 - abs(distance) : 0
        case .hamming:
            if distance == 0 { return 1 }
            if abs(distance) >= 1 { return 0 }
            let x = abs(distance) * Double.pi
            return sin(x) / x * (Double(0.54 as Float) + Double(0.46 as Float) * cos(x))
        case .bicubic:
            let a = -0.5
            let x = abs(distance)
            if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
            if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
            return 0
        case .lanczos:
            guard distance >= -3, distance < 3 else { return 0 }
            return ResampleFilter.sinc(distance) * ResampleFilter.sinc(distance / 3)
        }
    }

    private static func sinc(_ value: Double) -> Double {
        value == 0 ? 1 : sin(value * Double.pi) / (value * Double.pi)
    }
}

/// The weights of one direction of a resize: for every output pixel of a range, those of its input pixels.
struct ResampleAxis {
    /// The first input pixel of each output pixel.
    let starts: [Int]
    /// The number of input pixels of each output pixel.
    let counts: [Int]
    /// The weights in fixed point of 22 fraction bits, `stride` for each output pixel, zeros after the first `counts`.
    let weights: [Int32]
    /// The largest of `counts`.
    let stride: Int

    /// The range of all input pixels with a weight.
    var inputRange: Range<Int> {
        guard let first = starts.first, let start = starts.last, let count = counts.last else { return 0..<0 }
        return first..<start + count
    }

    /// Weights for the pixels in `range` when resizing `input` pixels to `output`; as Pillow's `precompute_coeffs`.
    init(filter: ResampleFilter, input: Int, output: Int, range: Range<Int>, backend: ResizeBackend = .pillow) {
        if filter == .nearest {
            self.init(nearestOf: input, output: output, range: range, backend: backend)
            return
        }
        if backend == .torchvision, range.count < output {
            // The largest weight of all outputs determines the precision.
            let whole = ResampleAxis(filter: filter, input: input, output: output, range: 0..<output, backend: backend)
            self.init(
                starts: Array(whole.starts[range]), counts: Array(whole.counts[range]),
                weights: Array(whole.weights[range.lowerBound * whole.stride..<range.upperBound * whole.stride]),
                stride: whole.stride)
            return
        }
        let scale = Double(input) / Double(output)
        let filterScale = max(scale, 1)
        let support = filter.support * filterScale
        let stride = min(Int(support.rounded(.up)) * 2 + 1, input)
        var starts: [Int] = []
        var counts: [Int] = []
        var exact = [Double](repeating: 0, count: range.count * stride)
        starts.reserveCapacity(range.count)
        counts.reserveCapacity(range.count)
        for (row, pixel) in range.enumerated() {
            let center = (Double(pixel) + 0.5) * scale
            let inverse = 1 / filterScale
            let first = max(Int(center - support + 0.5), 0)
            let count = max(min(Int(center + support + 0.5), input) - first, 0)
            var sum = 0.0
            for index in 0..<count {
                let weight = filter.weight(at: (Double(index + first) - center + 0.5) * inverse)
                exact[row * stride + index] = weight
                sum += weight
            }
            if sum != 0 { for index in 0..<count { exact[row * stride + index] /= sum } }
            starts.append(first)
            counts.append(count)
        }
        let bits = backend == .pillow ? 22 : ResampleAxis.bits(for: exact.max() ?? 0)
        let weights = exact.map { weight in
            let scaled = weight * Double(1 << bits)
            // Fewer fraction bits and a shift give the same sums as 22.
            return Int32(weight < 0 ? scaled - 0.5 : scaled + 0.5) << (22 - bits)
        }
        self.init(starts: starts, counts: counts, weights: weights, stride: stride)
    }

    /// The number of fraction bits that torchvision uses, given the largest weight: as many as fit in 16 bits, at most
    /// 22.
    private static func bits(for largest: Double) -> Int {
        (0..<22).first { Int(0.5 + largest * Double(1 << ($0 + 1))) >= 1 << 15 } ?? 22
    }

    private init(starts: [Int], counts: [Int], weights: [Int32], stride: Int) {
        (self.starts, self.counts, self.weights, self.stride) = (starts, counts, weights, stride)
    }

    /// Weights of one whole pixel each. Pillow adds the scale from pixel to pixel, and torchvision computes in floats;
    /// this rounds in the same way.
    private init(nearestOf input: Int, output: Int, range: Range<Int>, backend: ResizeBackend) {
        let scale = Double(input) / Double(output)
        var position = scale * 0.5
        var starts: [Int] = []
        if backend == .torchvision {
            let scale = Double(Float(input) / Float(output))
            starts = range.map { min(Int(Float((Double($0) + 0.5) * scale)), input - 1) }
        } else {
            for pixel in 0..<range.upperBound {
                if pixel >= range.lowerBound { starts.append(min(Int(position), input - 1)) }
                position += scale
            }
        }
        let ones = [Int](repeating: 1, count: starts.count)
        self.init(starts: starts, counts: ones, weights: ones.map { Int32($0) << 22 }, stride: 1)
    }

    /// The same weights for input and output in reverse order.
    func reversed(input: Int) -> ResampleAxis {
        let last = starts.count - 1
        var weights = weights
        for row in starts.indices {
            let count = counts[last - row]
            for index in 0..<count {
                weights[row * stride + index] = self.weights[(last - row) * stride + count - 1 - index]
            }
            for index in count..<stride { weights[row * stride + index] = 0 }
        }
        return ResampleAxis(
            starts: (0..<starts.count).map { input - starts[last - $0] - counts[last - $0] },
            counts: counts.reversed(), weights: weights, stride: stride)
    }
}
