using System.Text;

namespace LowRank.Tokenizers;

/// <summary>Replaces lone surrogates, which are not characters, with U+FFFD, as in UTF-8.</summary>
internal static class LoneSurrogates
{
    /// <summary>The text without lone surrogates.</summary>
    public static string Replace(string text)
    {
        bool lone = false;
        for (int i = 0; i < text.Length && !lone; i++)
        {
            if (!char.IsSurrogate(text[i])) continue;
            lone = !(char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]));
            i++;
        }
        return lone ? Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) : text;
    }
}
