/// How often samples are drawn again, and from which seed.
public struct BootstrapOptions: Sendable, Equatable {
    /// How many samples are drawn; 0 for no intervals.
    public var resamples: Int
    /// What the draws come from; the same seed gives the same intervals.
    public var seed: UInt64

    /// A thousand samples from seed 0, unless told otherwise.
    public init(resamples: Int = 1000, seed: UInt64 = 0) { (self.resamples, self.seed) = (resamples, seed) }
}

/// The bootstrap: as many images as there are, drawn from them with replacement, again and again.
///
/// Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
struct Bootstrap {
    private var state: UInt64

    /// A generator for one task. Tasks have their own, so that a task's intervals do not depend on the others.
    init(seed: UInt64, task: String) {
        // FNV-1a over the name; SplitMix64 from there.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in task.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        state = hash ^ (seed &* 0x9e37_79b9_7f4a_7c15)
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    private mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// A number from 0 to `count - 1`, each equally likely but for 2⁻⁶⁴ of them.
    mutating func draw(below count: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(count)).high) }

    /// Calls `body` with the place of each image of a sample of `count`.
    mutating func sample(_ count: Int, _ body: (Int) -> Void) {
        for _ in 0..<count { body(draw(below: count)) }
    }
}
