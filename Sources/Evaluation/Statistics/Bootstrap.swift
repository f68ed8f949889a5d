import Tensors

/// How often samples are drawn again, and from which seed.
package struct BootstrapOptions: Sendable, Equatable {
    /// How many samples are drawn; 0 for no intervals.
    package var resamples: Int
    /// What the draws come from; the same seed gives the same intervals.
    package var seed: UInt64

    /// A thousand samples from seed 0, unless specified.
    package init(resamples: Int = 1000, seed: UInt64 = 0) { (self.resamples, self.seed) = (resamples, seed) }
}

/// The bootstrap: as many images as there are, drawn from them with replacement, again and again.
///
/// Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
struct Bootstrap {
    private var generator: SplitMix64

    /// A generator for one task. Tasks have their own, so that a task's intervals do not depend on the others.
    init(seed: UInt64, task: String) { generator = SplitMix64(seed: seed, hashOf: task.utf8) }

    /// A number from 0 to `count - 1`.
    mutating func draw(below count: Int) -> Int { generator.next(below: count) }

    /// Calls `body` with the place of each image of a sample of `count`.
    mutating func sample(_ count: Int, _ body: (Int) -> Void) {
        for _ in 0..<count { body(draw(below: count)) }
    }
}
