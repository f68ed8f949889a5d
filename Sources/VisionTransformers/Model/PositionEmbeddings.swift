import Glibc
import Images
import Tensors

/// Position embeddings resampled for another patch grid, as DINOv2 does for images of another size.
enum PositionEmbeddings {
    /// Whether a model resamples its position embeddings for images of a size.
    static func areResampled(
        for image: ImageSize, _ configuration: BackboneConfiguration
    ) -> Bool {
        guard case .table(.some, _) = configuration.anatomy.positions else { return false }
        return configuration.grid(for: configuration.imageSize) != configuration.grid(for: image)
            || image.height != image.width
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
    /// As PyTorch's bicubic `interpolate` with `align_corners` false: convolution with a = -0.75, source coordinate
    /// (i + 0.5) · in/out - 0.5, edges repeated. With antialiasing as that of Pillow: a = -0.5, a support that grows
    /// with the reduction, and weights within the edges alone.
    ///
    /// - Parameters:
    ///   - table: (prefix + n², D); the source grid is square, as in transformers.
    ///   - width: D.
    /// - Returns: (prefix + grid height · grid width, D).
    static func resampled(
        _ table: [Float], width: Int, prefix: Int, grid: ImageSize, isAntialiased: Bool
    ) -> [Float] {
        let side = Int(Double(table.count / width - prefix).squareRoot())
        let weights = isAntialiased ? antialiasedWeights : plainWeights
        let (rows, columns) = (weights(side, grid.height), weights(side, grid.width))
        var result = [Float](repeating: 0, count: (prefix + grid.height * grid.width) * width)
        result.replaceSubrange(0..<prefix * width, with: table[0..<prefix * width])
        for y in 0..<grid.height {
            for x in 0..<grid.width {
                let target = (prefix + y * grid.width + x) * width
                for channel in 0..<width {
                    var sum = 0.0
                    for (row, rowWeight) in rows[y] {
                        var line = 0.0
                        for (column, columnWeight) in columns[x] {
                            let source = (prefix + row * side + column) * width + channel
                            line += columnWeight * Double(table[source])
                        }
                        sum += rowWeight * line
                    }
                    result[target + channel] = Float(sum)
                }
            }
        }
        return result
    }

    /// Input positions and their weights for each output position.
    private typealias Weights = [[(index: Int, weight: Double)]]

    /// The cubic convolution kernel at a distance (Keys, 1981).
    private static func cubic(_ distance: Double, a: Double) -> Double {
        let x = abs(distance)
        if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
    }

    private static func plainWeights(from input: Int, to output: Int) -> Weights {
        (0..<output).map { position in
            let source = (Double(position) + 0.5) * Double(input) / Double(output) - 0.5
            let start = Int(floor(source))
            let t = source - floor(source)
            return [t + 1, t, 1 - t, 2 - t].enumerated().map {
                (index: min(max(start - 1 + $0, 0), input - 1), weight: cubic($1, a: -0.75))
            }
        }
    }

    private static func antialiasedWeights(from input: Int, to output: Int) -> Weights {
        let scale = Double(input) / Double(output)
        let stretch = max(scale, 1)
        return (0..<output).map { position in
            let center = (Double(position) + 0.5) * scale
            let first = max(Int(center - 2 * stretch + 0.5), 0)
            let last = min(Int(center + 2 * stretch + 0.5), input)
            let taps = (first..<last).map { cubic((Double($0) - center + 0.5) / stretch, a: -0.5) }
            let sum = taps.reduce(0, +)
            return taps.enumerated().map { (index: first + $0, weight: $1 / sum) }
        }
    }
}
