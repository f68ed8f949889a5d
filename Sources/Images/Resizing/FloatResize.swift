import Tensors

extension RGBImage {
    /// The picture resized as by torchvision's `resize` of floats with antialiasing, bilinear: as DINOv3's image
    /// processor does it, which rescales first. Nothing is rounded to 8 bits; what is left of each sample beyond the
    /// whole number is in `fractions`.
    ///
    /// - Parameter size: the size of the result, positive.
    func resizedInFloats(to size: ImageSize) -> RGBImage {
        guard size != self.size else { return self }
        let (across, down) = (Taps(from: width, to: size.width), Taps(from: height, to: size.height))
        let samples = size.width * 3
        // Every row of the picture, resized horizontally.
        var rows = [Float](repeating: 0, count: height * samples)
        for y in 0..<height {
            for x in 0..<size.width {
                let (first, weights) = across.of(x)
                var (red, green, blue): (Float, Float, Float) = (0, 0, 0)
                var source = (y * width + first) * 3
                for weight in weights {
                    red += weight * sample(source)
                    green += weight * sample(source + 1)
                    blue += weight * sample(source + 2)
                    source += 3
                }
                let target = y * samples + x * 3
                (rows[target], rows[target + 1], rows[target + 2]) = (red, green, blue)
            }
        }
        var (pixels, fractions): ([UInt8], [UInt16]) = ([], [])
        pixels.reserveCapacity(size.height * samples)
        fractions.reserveCapacity(size.height * samples)
        for y in 0..<size.height {
            let (first, weights) = down.of(y)
            for index in 0..<samples {
                var sum: Float = 0
                for (tap, weight) in weights.enumerated() { sum += weight * rows[(first + tap) * samples + index] }
                // Bilinear weights are positive and add up to 1, so only rounding can leave the range.
                let fixed = Int(min(max(Double(sum), 0), 255) * 65536 + 0.5)
                pixels.append(UInt8(fixed >> 16))
                fractions.append(UInt16(fixed & 0xFFFF))
            }
        }
        return RGBImage(width: size.width, height: size.height, pixels: pixels, fractions: fractions)
    }

    /// A sample with its fraction.
    private func sample(_ index: Int) -> Float {
        Float(pixels[index]) + (fractions.isEmpty ? 0 : Float(fractions[index]) / 65536)
    }

    /// For each output pixel of one direction its input pixels, and their weights: a triangle that grows with the
    /// reduction.
    private struct Taps {
        private let starts: [Int]
        private let weights: [ArraySlice<Float>]

        init(from input: Int, to output: Int) {
            let scale = Double(input) / Double(output)
            let support = max(scale, 1)
            var (starts, weights): ([Int], [ArraySlice<Float>]) = ([], [])
            for pixel in 0..<output {
                let center = (Double(pixel) + 0.5) * scale
                let first = max(Int(center - support + 0.5), 0)
                let last = min(Int(center + support + 0.5), input)
                let taps = (first..<last).map { max(0, 1 - abs((Double($0) - center + 0.5) / support)) }
                let sum = taps.reduce(0, +)
                starts.append(first)
                weights.append(taps.map { Float($0 / sum) }[...])
            }
            (self.starts, self.weights) = (starts, weights)
        }

        func of(_ pixel: Int) -> (first: Int, weights: ArraySlice<Float>) { (starts[pixel], weights[pixel]) }
    }
}
