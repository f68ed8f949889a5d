internal import CKernels
import Glibc
import Tensors

/// Rotary positions in two dimensions (Su et al., 2021, arXiv 2104.09864; DINOv3, arXiv 2508.10104): pairs of elements
/// of queries and keys are turned by angles that grow with the coordinates of the patch.
///
/// The coordinates are those of the patches' centres, from -1 to 1. With f_j = base^(-4j/S) for j < S/4, S the width of
/// a head, element i < S/2 is paired with element S/2 + i and turned by 2π y f_i, or for i >= S/4 by 2π x f_(i - S/4).
package struct Rotary: Sendable {
    /// The cosines and sines of the angles, (patches, S/2).
    private let cosines, sines, negativeSines: FloatBuffer
    private let patches: Int
    private let half: Int

    /// The rotation for a grid of patches.
    ///
    /// - Parameter headSize: S, a multiple of 4.
    package init(height: Int, width: Int, headSize: Int, base: Double) {
        (patches, half) = (height * width, headSize / 2)
        var angles: [Double] = []
        for y in 0..<height {
            for x in 0..<width {
                for (index, count) in [(y, height), (x, width)] {
                    let coordinate = 2 * (Double(index) + 0.5) / Double(count) - 1
                    for j in 0..<headSize / 4 {
                        let frequency: Double = pow(base, -4 * Double(j) / Double(headSize))
                        angles.append(2 * Double.pi * coordinate * frequency)
                    }
                }
            }
        }
        cosines = FloatBuffer(angles.map { Float(cos($0)) })
        sines = FloatBuffer(angles.map { Float(sin($0)) })
        negativeSines = FloatBuffer(angles.map { Float(-sin($0)) })
    }

    /// Rotates the heads at the beginning of the rows of patches.
    ///
    /// - Parameters:
    ///   - buffer: rows at a distance of `stride`.
    ///   - row: the row of the first patch.
    ///   - heads: how many heads of a row are rotated.
    ///   - isInverse: whether they are turned back, which takes gradients to those before the rotation.
    package func apply(
        to buffer: NumberBuffer, row: Int, stride: Int, heads: Int, isInverse: Bool = false
    ) {
        let sines = isInverse ? negativeSines : sines
        switch buffer {
        case .f32(let x):
            mv_rotate(x.base + row * stride, patches, stride, heads, half, cosines.base, sines.base)
        case .bf16(let x):
            mv_bf16_rotate(x.base + row * stride, patches, stride, heads, half, cosines.base, sines.base)
        }
    }
}
