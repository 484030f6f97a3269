using System.Text;
using LowRank.Tokenizers.Decoders;

namespace LowRank.Tokenizers;

public sealed partial class Tokenizer
{
    private const int CheckedPairs = 200;

    private HashSet<int>? added; // also those that are not special

    /// <summary>Whether an id is an added token: found in texts as a whole, before the model splits them.</summary>
    public bool IsAdded(int id)
    {
        added ??= [.. plainTokens.Tokens.Concat(normalizedTokens.Tokens).Select(token => token.Id)];
        return added.Contains(id);
    }

    /// <summary>The bytes that each token adds to a text, as <see cref="Decode"/> and <see cref="StreamingDecoder"/>
    /// write it: UTF-8, of which a token may hold a part of a character. Index: token id; ids without a token have
    /// none.</summary>
    /// <param name="atStart">The bytes of a text's first token, where some tokenizers leave out a space; otherwise
    /// those of a later one.</param>
    /// <exception cref="InputException">What a token adds depends on the tokens around it.</exception>
    public IReadOnlyList<ReadOnlyMemory<byte>> TokenBytes(bool atStart = false)
    {
        var result = new ReadOnlyMemory<byte>[VocabularySize];
        bool spellsBytes = decoder is not null && string.Concat(decoder.Decode(["Ã", "©"])) == "é";
        int? anchor = atStart ? null : Anchor();
        string before = anchor is { } first ? Decode([first]) : "";
        foreach ((int id, string token) in tokens)
        {
            if (joinsBytes && ByteFallbackDecoder.ByteOf(token) is { } value)
            {
                result[id] = new[] { value };
                continue;
            }
            string text = anchor is { } start ? Decode([start, id])[before.Length..] : Decode([id]);
            // What is not a whole character decodes to a replacement.
            result[id] = spellsBytes && text.Contains('\uFFFD', StringComparison.Ordinal) ? Spelled(token)
                : Encoding.UTF8.GetBytes(text);
        }
        if (anchor is { } known) CheckIndependence(known, result);
        return result;
    }

    private static byte[] Spelled(string token)
    {
        var bytes = new byte[token.Length];
        for (int i = 0; i < bytes.Length; i++)
            if (!ByteAlphabet.TryByte(token[i], out bytes[i])) return Encoding.UTF8.GetBytes(token);
        return bytes;
    }

    // A token after which a text has begun, whatever the decoder does at its beginning.
    private int? Anchor()
    {
        foreach (int id in Enumerable.Range(0, VocabularySize))
            if (tokens.ContainsKey(id) && !IsAdded(id) && !IsOpenByte(id) && Decode([id]) is { Length: > 0 } text
                && text.All(char.IsAsciiLetterOrDigit))
                return id;
        return null;
    }

    private void CheckIndependence(int anchor, ReadOnlyMemory<byte>[] bytes)
    {
        string before = Decode([anchor]);
        int[] sample = [.. tokens.Keys.Where(id => !IsAdded(id) && !IsOpenByte(id)).Order()];
        int step = Math.Max(1, sample.Length / CheckedPairs);
        for (int i = step; i < sample.Length; i += step)
        {
            (int one, int two) = (sample[i - step], sample[i]);
            byte[] joined = [.. bytes[one].Span, .. bytes[two].Span];
            if (Decode([anchor, one, two]) != before + Encoding.UTF8.GetString(joined))
                throw new InputException(
                    $"{Place}: the text of a token depends on the tokens around it (\"{tokens[one]}\" and " +
                    $"\"{tokens[two]}\" decode to \"{Decode([anchor, one, two])[before.Length..]}\"), so that what " +
                    "may be written cannot be decided token by token.");
        }
    }
}
