internal import CKernels
import Glibc

/// AdamW: Adam with decoupled weight decay, with PyTorch's arithmetic and defaults.
///
/// Loshchilov and Hutter, ICLR 2019 (arXiv 1711.05101). With gradient g, at step t = 1, 2, ...:
/// p ← p (1 - lr·decay); m ← m + (1 - β₁)(g - m); v ← β₂ v + (1 - β₂) g²;
/// p ← p - lr/(1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε).
package struct AdamW: Sendable, Equatable {
    /// The decay of the first moment, a running mean of the gradient.
    package var beta1: Double
    /// The decay of the second moment, a running mean of the gradient's square.
    package var beta2: Double
    /// The number that is added to the root of the second moment.
    package var epsilon: Double
    /// The decay of parameters per step, times the learning rate.
    package var weightDecay: Double

    /// Settings; the defaults are PyTorch's.
    package init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0.01) {
        (self.beta1, self.beta2, self.epsilon, self.weightDecay) = (beta1, beta2, epsilon, weightDecay)
    }

    /// Changes parameters by one step.
    ///
    /// - Parameters:
    ///   - parameters: `count` elements.
    ///   - moments: the two moments of each, zero before the first step.
    ///   - step: the number of this step, counted from 1.
    package func update(
        _ parameters: UnsafeMutablePointer<Float>, gradient: UnsafePointer<Float>,
        moments: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>), count: Int, step: Int, learningRate: Double
    ) {
        let constants = mv_adamw_constants(
            beta2: Float(beta2), rest1: Float(1 - beta1), rest2: Float(1 - beta2), epsilon: Float(epsilon),
            decay: Float(1 - learningRate * weightDecay),
            step: Float(learningRate / (1 - pow(beta1, Double(step)))),
            root: Float((1 - pow(beta2, Double(step))).squareRoot()))
        mv_adamw(parameters, gradient, moments.0, moments.1, count, constants)
    }
}
