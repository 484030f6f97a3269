using System.Globalization;
using System.Text;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.Patterns;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Decoders;

/// <summary>Converts tokens to text in stages: each stage changes the list of tokens, and the final list is
/// joined.</summary>
internal interface IDecoder
{
    /// <summary>The changed tokens.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="budget">The maximum length of the text; null for one based on the tokens' length.</param>
    IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null);
}

/// <summary>Creates decoders by their types in tokenizer.json.</summary>
internal static class DecoderReader
{
    private static readonly Dictionary<string, Func<ComponentJson, IDecoder>> Types = new()
    {
        ["Sequence"] = json => new SequenceDecoder([.. json.Children("decoders").Select(Read)]),
        ["ByteLevel"] = _ => new ByteLevelDecoder(),
        ["ByteFallback"] = _ => new ByteFallbackDecoder(),
        ["Fuse"] = _ => new FuseDecoder(),
        ["Metaspace"] = Metaspace,
        ["Replace"] = Replace,
        ["Strip"] = Strip,
        ["BPEDecoder"] = WordSuffix,
        ["WordPiece"] = WordPiece,
    };

    public static IDecoder Read(ComponentJson json) =>
        Types.TryGetValue(json.Type, out Func<ComponentJson, IDecoder>? make) ? make(json)
            : throw json.UnknownType(Types.Keys);

    private static TokenChange Metaspace(ComponentJson json)
    {
        string replacement = json.MarkOr("replacement", "▁");
        bool dropsFirst = MetaspacePreTokenizer.Scheme(json) != "never";
        return new TokenChange(
            (i, token) => token.Replace(replacement, i == 0 && dropsFirst ? "" : " ", StringComparison.Ordinal));
    }

    private static TokenChange Replace(ComponentJson json)
    {
        (string pattern, bool isRegex) = json.Pattern("pattern");
        string content = json.Text("content");
        if (!isRegex)
            return new TokenChange((_, token, budget) => NormalizerReader.Literally(token, pattern, content, budget));
        var regex = CodePointPattern.Compile(pattern, json.Place);
        return new TokenChange((_, token, budget) => regex.Replace(token, content, budget));
    }

    private static TokenChange Strip(ComponentJson json)
    {
        string content = json.Text("content");
        if (content.Length != 1) throw json.Unsupported("content", "one character");
        (char character, int start, int stop) = (content[0], json.Number("start"), json.Number("stop"));
        return new TokenChange((_, token) =>
        {
            int first = 0, last = token.Length;
            while (first < start && first < last && token[first] == character) first++;
            for (int i = 0; i < stop && last > first && token[last - 1] == character; i++) last--;
            return token[first..last];
        });
    }

    private static TokenListChange WordSuffix(ComponentJson json)
    {
        string suffix = json.MarkOr("suffix", "</w>");
        return new TokenListChange(tokens =>
            [.. tokens.Select(
                (token, i) => token.Replace(suffix, i == tokens.Count - 1 ? "" : " ", StringComparison.Ordinal))]);
    }

    private static TokenChange WordPiece(ComponentJson json)
    {
        string prefix = json.TextOr("prefix", "##")!;
        bool cleans = json.Flag("cleanup", true);
        return new TokenChange((i, token) =>
        {
            string text = i == 0 ? token : token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..]
                : " " + token;
            return cleans ? Clean(text) : text;
        });
    }

    // Removes spaces that word pieces leave before punctuation and contractions (transformers' clean_up_tokenization).
    private static string Clean(string text)
    {
        foreach ((string before, string after) in new[] { (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","),
            (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"),
            (" 're", "'re") })
            text = text.Replace(before, after, StringComparison.Ordinal);
        return text;
    }
}

/// <summary>Decoders in sequence.</summary>
internal sealed class SequenceDecoder(IReadOnlyList<IDecoder> stages) : IDecoder
{
    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null)
    {
        budget ??= new TextBudget(tokens.Sum(token => (long)token.Length));
        return stages.Aggregate(tokens, (current, stage) => stage.Decode(current, budget));
    }
}

/// <summary>Converts runs of the tokens &lt;0x00&gt; to &lt;0xFF&gt; to text; a run that is not valid UTF-8 becomes one
/// U+FFFD per byte.</summary>
internal sealed class ByteFallbackDecoder : IDecoder
{
    private static readonly UTF8Encoding Strict =
        new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null)
    {
        var result = new List<string>(tokens.Count);
        var run = new List<byte>();
        foreach (string token in tokens)
        {
            if (ByteOf(token) is { } value)
            {
                run.Add(value);
                continue;
            }
            Flush();
            result.Add(token);
        }
        Flush();
        return result;

        void Flush()
        {
            if (run.Count == 0) return;
            result.Add(Text([.. run]));
            run.Clear();
        }
    }

    /// <summary>The byte that a token represents; null for other tokens.</summary>
    public static byte? ByteOf(string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
        && byte.TryParse(
            token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value)
            ? value : null;

    private static string Text(byte[] bytes)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return new string('\uFFFD', bytes.Length);
        }
    }
}

/// <summary>Converts the byte alphabet back to bytes, and those to text; bytes that are not valid UTF-8 become
/// U+FFFD.</summary>
internal sealed class ByteLevelDecoder : IDecoder
{
    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null)
    {
        var bytes = new List<byte>();
        foreach (string token in tokens)
        {
            int before = bytes.Count;
            foreach (char character in token)
            {
                if (ByteAlphabet.TryByte(character, out byte value)) bytes.Add(value);
                else
                {
                    // An added token in plain text.
                    bytes.RemoveRange(before, bytes.Count - before);
                    bytes.AddRange(Encoding.UTF8.GetBytes(token));
                    break;
                }
            }
        }
        return [Encoding.UTF8.GetString([.. bytes])];
    }
}

/// <summary>Joins all tokens into one.</summary>
internal sealed class FuseDecoder : IDecoder
{
    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null) =>
        [string.Concat(tokens)];
}

/// <summary>A decoder that changes each token based on its position and text.</summary>
internal sealed class TokenChange(Func<int, string, TextBudget, string> change) : IDecoder
{
    /// <summary>A change that lengthens no token by much.</summary>
    public TokenChange(Func<int, string, string> change) : this((place, token, _) => change(place, token)) { }

    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null)
    {
        budget ??= new TextBudget(tokens.Sum(token => (long)token.Length));
        var changed = new string[tokens.Count];
        long length = 0;
        for (int i = 0; i < changed.Length; i++)
        {
            changed[i] = change(i, tokens[i], budget);
            budget.Check(length += changed[i].Length);
        }
        return changed;
    }
}

/// <summary>A decoder that is a function of all tokens.</summary>
internal sealed class TokenListChange(Func<IReadOnlyList<string>, IReadOnlyList<string>> change) : IDecoder
{
    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null) => change(tokens);
}
