import Glibc

/// The learning rate of every step: a linear rise, then a cosine down to zero or a constant.
package struct LearningRateSchedule: Sendable, Equatable {
    /// What comes after the rise.
    package enum Shape: String, Sendable, CaseIterable {
        /// Half a cosine from the peak to zero (Loshchilov and Hutter, arXiv 1608.03983).
        case cosine
        /// The peak.
        case constant
    }

    /// What comes after the rise.
    package let shape: Shape
    /// The largest rate.
    package let peak: Double
    /// Steps of the rise.
    package let warmup: Int
    /// All steps.
    package let steps: Int

    /// A schedule over so many steps, the part `warmup` of which is the rise.
    package init(_ shape: Shape, peak: Double, warmup: Double, steps: Int) {
        (self.shape, self.peak, self.steps) = (shape, peak, steps)
        self.warmup = Int((warmup * Double(steps)).rounded())
    }

    /// The rate of a step, counted from 0.
    package func rate(_ step: Int) -> Double {
        if step < warmup { return peak * Double(step + 1) / Double(warmup) }
        switch shape {
        case .constant: return peak
        case .cosine:
            let part = Double(step - warmup) / Double(max(steps - warmup, 1))
            return peak * 0.5 * (1 + cos(Double.pi * min(part, 1)))
        }
    }
}
