namespace LowRank.Generation;

/// <summary>A set of Unicode characters: sorted, disjoint ranges of code points, without surrogates.</summary>
internal sealed class CharacterSet : IEquatable<CharacterSet>
{
    /// <summary>The largest code point.</summary>
    public const int Largest = 0x10FFFF;

    private readonly (int Low, int High)[] ranges;
    private readonly int hash;

    private CharacterSet((int Low, int High)[] ranges)
    {
        this.ranges = ranges;
        var code = new HashCode();
        foreach ((int low, int high) in ranges) code.Add(HashCode.Combine(low, high));
        hash = code.ToHashCode();
    }

    /// <summary>Every character.</summary>
    public static CharacterSet All { get; } = new([(0, 0xD7FF), (0xE000, Largest)]);

    /// <summary>No character.</summary>
    public static CharacterSet None { get; } = new([]);

    /// <summary>The ranges, in order.</summary>
    public IReadOnlyList<(int Low, int High)> Ranges => ranges;

    public bool IsEmpty => ranges.Length == 0;

    /// <summary>The characters of ranges, in any order; surrogates are left out.</summary>
    public static CharacterSet Of(params IEnumerable<(int Low, int High)> ranges) => Joined(ranges).And(All);

    /// <summary>One character.</summary>
    public static CharacterSet Of(int character) => Of((character, character));

    public bool Contains(int character)
    {
        foreach ((int low, int high) in ranges)
            if (character <= high) return character >= low;
        return false;
    }

    public CharacterSet Or(CharacterSet other) =>
        IsEmpty ? other : other.IsEmpty ? this : Joined(ranges.Concat(other.ranges));

    public CharacterSet And(CharacterSet other)
    {
        List<(int, int)> common = [];
        for (int i = 0, j = 0; i < ranges.Length && j < other.ranges.Length;)
        {
            int low = Math.Max(ranges[i].Low, other.ranges[j].Low),
                high = Math.Min(ranges[i].High, other.ranges[j].High);
            if (low <= high) common.Add((low, high));
            if (ranges[i].High < other.ranges[j].High) i++;
            else j++;
        }
        return new CharacterSet([.. common]);
    }

    /// <summary>The characters that are not in another set.</summary>
    public CharacterSet Without(CharacterSet other)
    {
        List<(int, int)> gaps = [];
        int next = 0;
        foreach ((int low, int high) in other.ranges)
        {
            if (low > next) gaps.Add((next, low - 1));
            next = high + 1;
        }
        if (next <= Largest) gaps.Add((next, Largest));
        return And(new CharacterSet([.. gaps]));
    }

    public bool Equals(CharacterSet? other) => other is not null && ranges.AsSpan().SequenceEqual(other.ranges);

    public override bool Equals(object? obj) => Equals(obj as CharacterSet);

    public override int GetHashCode() => hash;

    private static CharacterSet Joined(IEnumerable<(int Low, int High)> all)
    {
        List<(int Low, int High)> joined = [];
        foreach ((int low, int high) in all.OrderBy(range => range.Low))
        {
            if (joined.Count > 0 && low <= joined[^1].High + 1)
                joined[^1] = (joined[^1].Low, Math.Max(joined[^1].High, high));
            else if (low <= high) joined.Add((low, high));
        }
        return new CharacterSet([.. joined]);
    }
}
