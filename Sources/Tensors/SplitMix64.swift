import Glibc

/// The generator SplitMix64 (Steele, Lea and Flood, 2014).
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// A generator that starts at a state.
    package init(state: UInt64) { self.state = state }

    /// A separate generator for each name.
    package init(seed: UInt64, name: String) { state = name.utf8.reduce(seed) { Self.mix($0, UInt64($1)) } }

    /// A generator that starts at the FNV-1a hash of some bytes, moved by a seed.
    package init(seed: UInt64, hashOf bytes: some Sequence<UInt8>) {
        let hash = bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
        state = hash ^ (seed &* 0x9e37_79b9_7f4a_7c15)
    }

    /// The next number.
    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.finished(state)
    }

    /// A uniform number in 0..<1.
    package mutating func nextUniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A number from 0 to `count - 1`, uniform to within 2⁻⁶⁴.
    package mutating func next(below count: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(count)).high) }

    /// A number from the normal distribution of mean 0 and variance 1 (Box and Muller, 1958).
    package mutating func nextNormal() -> Double {
        let radius = (-2 * log(1 - nextUniform())).squareRoot()
        return radius * cos(2 * Double.pi * nextUniform())
    }

    /// A state made of another and a number.
    package static func mix(_ state: UInt64, _ number: UInt64) -> UInt64 {
        finished((state ^ number) &+ 0x9e37_79b9_7f4a_7c15)
    }

    private static func finished(_ state: UInt64) -> UInt64 {
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
