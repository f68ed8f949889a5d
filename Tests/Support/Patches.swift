package import Tensors

extension Tensor {
    /// The patches of pixel values (images, 3, H, W) in the order of a patch embedding's input.
    package func patches(height: Int, width: Int) -> [Float] {
        let (rows, columns) = (shape[2], shape[3])
        var result: [Float] = []
        for image in 0..<shape[0] {
            for top in stride(from: 0, to: rows - height + 1, by: height) {
                for left in stride(from: 0, to: columns - width + 1, by: width) {
                    for channel in 0..<3 {
                        for y in top..<top + height {
                            let start = ((image * 3 + channel) * rows + y) * columns + left
                            result += values[start..<start + width]
                        }
                    }
                }
            }
        }
        return result
    }
}
