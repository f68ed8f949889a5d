/// Random numbers that are a function of a seed and of what they are for, whoever draws them and in whatever order.
///
/// SplitMix64 (Steele, Lea and Flood, 2014), started from a hash of the seed and the keys.
struct SeededGenerator: RandomNumberGenerator {
    /// What numbers are drawn for.
    enum Purpose: UInt64 {
        case order = 1
        case augmentation
        case split
    }

    private var state: UInt64

    /// A generator for one purpose and, within it, one of many things.
    init(seed: UInt64, _ purpose: Purpose, _ keys: Int...) {
        state = seed
        for key in [purpose.rawValue] + keys.map({ UInt64(truncatingIfNeeded: $0) }) { state = next() ^ key }
        _ = next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// A number from 0 up to but not including 1, with 53 random bits.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// The numbers of `0..<count` in random order (Fisher and Yates).
    mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(last, Int(unit() * Double(last + 1)))
        }
        return order
    }
}
