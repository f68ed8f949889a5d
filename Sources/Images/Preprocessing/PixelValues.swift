package import Tensors

extension Preprocessing {
    /// The values of a picture returned by `apply(_:original:)`, as the input of a model: shape (1, 3, height, width).
    package func pixelValues(of image: RGBImage) -> Tensor {
        let table = PixelValueTable(self)
        let plane = image.width * image.height
        let values = [Float](unsafeUninitializedCapacity: plane * 3) { buffer, initialized in
            image.pixels.withUnsafeBufferPointer { pixels in
                for channel in 0..<3 {
                    for index in 0..<plane {
                        buffer[channel * plane + index] =
                            table.values[channel * 256 + Int(pixels[index * 3 + channel])]
                            + table.fraction(of: image, index * 3 + channel)
                    }
                }
            }
            initialized = plane * 3
        }
        return Tensor(shape: [1, 3, image.height, image.width], values: values)
    }
}

/// The value of each 8-bit sample: (sample * factor - mean) / deviation in 64 bits, then rounded to 32.
///
/// To prepare many pictures, create it once.
package struct PixelValueTable: Sendable {
    /// 256 values per channel.
    let values: [Float]
    /// What 1/65536 of a sample adds to the value, by channel.
    private let steps: [Float]

    /// The values of some settings.
    package init(_ settings: Preprocessing) {
        values = (0..<3 * 256).map { index in
            var value = Double(index % 256) * (settings.rescaleFactor ?? 1)
            if let normalization = settings.normalization {
                value = (value - normalization.mean[index / 256]) / normalization.deviation[index / 256]
            }
            return Float(value)
        }
        steps = (0..<3).map { channel in
            Float((settings.rescaleFactor ?? 1) / 65536 / (settings.normalization?.deviation[channel] ?? 1))
        }
    }

    /// What a sample's fraction adds to its value.
    func fraction(of image: RGBImage, _ sample: Int) -> Float {
        image.fractions.isEmpty ? 0 : Float(image.fractions[sample]) * steps[sample % 3]
    }

    /// Writes the values of a picture returned by `Preprocessing.apply(_:original:)`, one row per patch.
    ///
    /// Row `r` is patch (r / across, r % across) of the grid of `height / patchHeight` by `across = width / patchWidth`
    /// patches; column `(channel * patchHeight + y) * patchWidth + x` is one of its values. That is the order of a
    /// convolution weight [D, 3, patchHeight, patchWidth] flattened to [D, 3 * patchHeight * patchWidth], so that the
    /// patch embedding is `patches · weightᵀ`. Rows and columns of the picture beyond whole patches are left out, as a
    /// convolution with that stride does.
    ///
    /// - Parameters:
    ///   - image: the resized and cropped picture.
    ///   - patchHeight: rows of a patch, positive.
    ///   - patchWidth: columns of a patch, positive.
    ///   - patches: the destination; exactly patches x 3 x patchHeight x patchWidth elements.
    package func writePatches(
        of image: RGBImage, patchHeight: Int, patchWidth: Int, into patches: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(patchHeight > 0 && patchWidth > 0, "patch without extent")
        let (down, across) = (image.height / patchHeight, image.width / patchWidth)
        let area = patchHeight * patchWidth
        precondition(patches.count == down * across * 3 * area, "buffer of another size than the patches")
        guard var target = patches.baseAddress else { return }
        image.pixels.withUnsafeBufferPointer { pixels in
            values.withUnsafeBufferPointer { table in
                guard let samples = pixels.baseAddress, let table = table.baseAddress else { return }
                for patch in 0..<down * across {
                    let corner = (patch / across * patchHeight * image.width + patch % across * patchWidth) * 3
                    for channel in 0..<3 {
                        let values = table + channel * 256
                        for y in 0..<patchHeight {
                            let row = samples + corner + y * image.width * 3 + channel
                            for x in 0..<patchWidth { target[x] = values[Int(row[3 * x])] }
                            if !image.fractions.isEmpty {
                                let first = row - samples
                                for x in 0..<patchWidth { target[x] += fraction(of: image, first + 3 * x) }
                            }
                            target += patchWidth
                        }
                    }
                }
            }
        }
    }
}
