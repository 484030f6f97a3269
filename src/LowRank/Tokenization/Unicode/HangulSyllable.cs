namespace LowRank.Tokenization.Unicode;

/// <summary>
/// Hangul syllables, which are made of a leading consonant, a vowel and perhaps a trailing consonant by arithmetic instead of
/// a table (The Unicode Standard, section 3.12).
/// </summary>
internal static class HangulSyllable
{
    private const int FirstSyllable = 0xAC00;
    private const int FirstLeading = 0x1100;
    private const int FirstVowel = 0x1161;
    private const int BeforeTrailing = 0x11A7; // index 0 stands for no trailing consonant
    private const int LeadingCount = 19;
    private const int VowelCount = 21;
    private const int TrailingCount = 28;
    private const int SyllableCount = LeadingCount * VowelCount * TrailingCount;

    /// <summary>Whether the character is one of the 11,172 syllables.</summary>
    public static bool IsSyllable(int point) => (uint)(point - FirstSyllable) < SyllableCount;

    /// <summary>Whether the character may join a leading consonant or a syllable before it.</summary>
    public static bool JoinsBefore(int point) => IsVowel(point) || IsTrailing(point);

    /// <summary>Adds the two or three letters of a syllable.</summary>
    public static void Decompose(int syllable, List<int> points)
    {
        int index = syllable - FirstSyllable;
        points.Add(FirstLeading + (index / (VowelCount * TrailingCount)));
        points.Add(FirstVowel + (index % (VowelCount * TrailingCount) / TrailingCount));
        if (index % TrailingCount != 0) points.Add(BeforeTrailing + (index % TrailingCount));
    }

    /// <summary>The syllable of a leading consonant and a vowel, or of a syllable without trailing consonant and one.</summary>
    /// <returns>False where the two make no syllable.</returns>
    public static bool TryCompose(int first, int second, out int syllable)
    {
        syllable = 0;
        if ((uint)(first - FirstLeading) < LeadingCount && IsVowel(second))
        {
            syllable = FirstSyllable + ((((first - FirstLeading) * VowelCount) + second - FirstVowel) * TrailingCount);
            return true;
        }
        if (!IsSyllable(first) || (first - FirstSyllable) % TrailingCount != 0 || !IsTrailing(second)) return false;
        syllable = first + second - BeforeTrailing;
        return true;
    }

    private static bool IsVowel(int point) => (uint)(point - FirstVowel) < VowelCount;

    private static bool IsTrailing(int point) => point is > BeforeTrailing and < BeforeTrailing + TrailingCount;
}
