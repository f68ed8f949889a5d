import Glibc
import Images
import Tensors

/// Position embeddings resampled for another patch grid, as DINOv2 does for images of another size.
enum PositionEmbeddings {
    /// Whether a model resamples its position embeddings for images of a size.
    static func areResampled(
        for image: ImageSize, _ configuration: BackboneConfiguration
    ) -> Bool {
        configuration.family.interpolatesPositions
            && (configuration.grid(for: configuration.imageSize) != configuration.grid(for: image)
                || image.height != image.width)
    }

    /// Checks that the position embeddings can be resampled where that is needed.
    ///
    /// - Throws: `ModelError` when their grid is not a square.
    static func check(_ image: ImageSize, _ configuration: BackboneConfiguration) throws {
        guard areResampled(for: image, configuration) else { return }
        let stored = configuration.grid(for: configuration.imageSize)
        let side = Int(Double(stored.height * stored.width).squareRoot())
        guard side * side == stored.height * stored.width else {
            throw ModelError(
                "config.json",
                "image_size \(configuration.imageSize): position embeddings can be resampled only from a square grid"
            )
        }
    }

    /// Resamples the patch positions, keeping those of the prefix tokens.
    ///
    /// As PyTorch's bicubic `interpolate` without antialiasing and with `align_corners` false: convolution with a =
    /// -0.75, source coordinate (i + 0.5) · in/out - 0.5, edges repeated.
    ///
    /// - Parameter table: (1, prefix + n², D); the source grid is square, as in transformers.
    /// - Returns: (1, prefix + grid height · grid width, D).
    static func resampled(_ table: Tensor, prefix: Int, grid: ImageSize) -> Tensor {
        let width = table.shape[2]
        let side = Int(Double(table.shape[1] - prefix).squareRoot())
        let rows = weights(from: side, to: grid.height)
        let columns = weights(from: side, to: grid.width)
        var result = Tensor(shape: [1, prefix + grid.height * grid.width, width])
        result.values.replaceSubrange(0..<prefix * width, with: table.values[0..<prefix * width])
        for y in 0..<grid.height {
            for x in 0..<grid.width {
                let target = (prefix + y * grid.width + x) * width
                for channel in 0..<width {
                    var sum = 0.0
                    for (row, rowWeight) in rows[y] {
                        var line = 0.0
                        for (column, columnWeight) in columns[x] {
                            let source = (prefix + row * side + column) * width + channel
                            line += columnWeight * Double(table.values[source])
                        }
                        sum += rowWeight * line
                    }
                    result.values[target + channel] = Float(sum)
                }
            }
        }
        return result
    }

    /// For each output position, the four input positions and their weights.
    private static func weights(from input: Int, to output: Int) -> [[(index: Int, weight: Double)]] {
        let a = -0.75
        func near(_ x: Double) -> Double { ((a + 2) * x - (a + 3)) * x * x + 1 }
        func far(_ x: Double) -> Double { ((a * x - 5 * a) * x + 8 * a) * x - 4 * a }
        return (0..<output).map { position in
            let source = (Double(position) + 0.5) * Double(input) / Double(output) - 0.5
            let start = Int(floor(source))
            let t = source - floor(source)
            let taps = [far(t + 1), near(t), near(1 - t), far(2 - t)]
            return taps.enumerated().map { (index: min(max(start - 1 + $0, 0), input - 1), weight: $1) }
        }
    }
}
