using System.Buffers;
using System.Text;

namespace LowRank.Tokenizers;

/// <summary>Finds added tokens in a text: the leftmost first, and the longest if several start at the same
/// position.</summary>
internal sealed class AddedTokenFinder
{
    private readonly Dictionary<char, (string Content, AddedToken Token)[]> byFirst;
    private readonly SearchValues<char> firsts;

    /// <summary>Prepares the search.</summary>
    /// <param name="tokens">The tokens, each with the text to search for.</param>
    public AddedTokenFinder(IEnumerable<(string Content, AddedToken Token)> tokens)
    {
        byFirst = tokens.Where(token => token.Content.Length > 0).GroupBy(token => token.Content[0])
            .ToDictionary(
                group => group.Key, group => group.OrderByDescending(token => token.Content.Length).ToArray());
        firsts = SearchValues.Create([.. byFirst.Keys]);
    }

    /// <summary>The tokens, longest first where they begin with the same character.</summary>
    public IEnumerable<AddedToken> Tokens => byFirst.Values.SelectMany(group => group.Select(entry => entry.Token));

    /// <summary>The text in consecutive parts: plain text (no token) and tokens with the white space that they
    /// absorb.</summary>
    public IEnumerable<(int Start, int End, AddedToken? Token)> Find(string text)
    {
        int done = 0;
        for (int at = 0; at < text.Length;)
        {
            int found = text.AsSpan(at).IndexOfAny(firsts);
            if (found < 0) break;
            at += found;
            if (Match(text, at) is not { } match)
            {
                at++;
                continue;
            }
            int end = at + match.Content.Length, start = at;
            at = end;
            if (match.Token.IsSingleWord && (EndsInWord(text, start) || BeginsWithWord(text, end))) continue;
            if (match.Token.StripsLeft) while (start > done && char.IsWhiteSpace(text[start - 1])) start--;
            if (match.Token.StripsRight) while (end < text.Length && char.IsWhiteSpace(text[end])) end++;
            if (start > done) yield return (done, start, null);
            yield return (start, end, match.Token);
            done = at = end;
        }
        if (done < text.Length) yield return (done, text.Length, null);
    }

    private (string Content, AddedToken Token)? Match(string text, int at)
    {
        foreach ((string Content, AddedToken Token) candidate in byFirst[text[at]])
            if (string.CompareOrdinal(text, at, candidate.Content, 0, candidate.Content.Length) == 0) return candidate;
        return null;
    }

    private static bool EndsInWord(string text, int end) =>
        end > 0 && Rune.DecodeLastFromUtf16(text.AsSpan(0, end), out Rune rune, out _) == OperationStatus.Done
            && WordCharacter.Is(rune);

    private static bool BeginsWithWord(string text, int start) =>
        start < text.Length && Rune.DecodeFromUtf16(text.AsSpan(start), out Rune rune, out _) == OperationStatus.Done
            && WordCharacter.Is(rune);
}

/// <summary>A token that is found in the text itself, before the model processes it.</summary>
/// <param name="Content">Its text.</param>
/// <param name="Id">Its id.</param>
/// <param name="IsSpecial">Whether decoding may skip it.</param>
/// <param name="StripsLeft">Whether it absorbs the white space before it.</param>
/// <param name="StripsRight">Whether it absorbs the white space after it.</param>
/// <param name="IsSingleWord">Whether it must be separated from letters and digits.</param>
/// <param name="IsNormalized">Whether it is searched for in the normalised text.</param>
internal sealed record AddedToken(
    string Content, int Id, bool IsSpecial, bool StripsLeft, bool StripsRight, bool IsSingleWord, bool IsNormalized)
{
    /// <summary>Reads an entry of added_tokens.</summary>
    public static AddedToken Read(ComponentJson json)
    {
        bool special = json.Flag("special", false);
        return new AddedToken(
            json.Text("content"), json.Number("id"), special, json.Flag("lstrip", false), json.Flag("rstrip", false),
            json.Flag("single_word", false), json.Flag("normalized", !special));
    }
}
