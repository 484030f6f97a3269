using LowRank.Tokenization.Normalizers;
using LowRank.Tokenization.Patterns;
using LowRank.Tokenization.PreTokenizers;

namespace LowRank.Tokenization.Decoders;

/// <summary>Makes decoders by the types that tokenizer.json names.</summary>
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
        Types.TryGetValue(json.Type, out Func<ComponentJson, IDecoder>? make) ? make(json) : throw json.UnknownType(Types.Keys);

    private static TokenChange Metaspace(ComponentJson json)
    {
        string replacement = json.MarkOr("replacement", "▁");
        bool dropsFirst = MetaspacePreTokenizer.Scheme(json) != "never";
        return new TokenChange((i, token) => token.Replace(replacement, i == 0 && dropsFirst ? "" : " ", StringComparison.Ordinal));
    }

    private static TokenChange Replace(ComponentJson json)
    {
        (string pattern, bool isRegex) = json.Pattern("pattern");
        string content = json.Text("content");
        if (!isRegex) return new TokenChange((_, token, budget) => NormalizerReader.Literally(token, pattern, content, budget));
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
            [.. tokens.Select((token, i) => token.Replace(suffix, i == tokens.Count - 1 ? "" : " ", StringComparison.Ordinal))]);
    }

    private static TokenChange WordPiece(ComponentJson json)
    {
        string prefix = json.TextOr("prefix", "##")!;
        bool cleans = json.Flag("cleanup", true);
        return new TokenChange((i, token) =>
        {
            string text = i == 0 ? token : token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
            return cleans ? Clean(text) : text;
        });
    }

    // The blanks that word pieces leave before punctuation and contractions (transformers' clean_up_tokenization).
    private static string Clean(string text)
    {
        foreach ((string before, string after) in new[] { (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re") })
            text = text.Replace(before, after, StringComparison.Ordinal);
        return text;
    }
}
