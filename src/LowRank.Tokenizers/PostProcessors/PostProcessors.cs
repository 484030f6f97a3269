using System.Text.Json.Nodes;

namespace LowRank.Tokenizers.PostProcessors;

/// <summary>Reads from tokenizer.json's post-processor which special tokens are added around a text or a
/// pair.</summary>
internal static class PostProcessorReader
{
    private const int MostParts = 1000;
    private static readonly Dictionary<string, Func<ComponentJson, SpecialTokenFrame>> Types = new()
    {
        ["ByteLevel"] = json =>
            SpecialTokenFrame.None with { TrimsOffsets = json.Flag("trim_offsets", true),
            AddsPrefixSpace = json.Flag("add_prefix_space", true) },
        ["TemplateProcessing"] = json =>
            new SpecialTokenFrame(Template(json, "single"), json.Json["pair"] is null ? null : Template(json, "pair")),
        ["BertProcessing"] = json => Bert(Id(json, "cls"), Id(json, "sep")),
        ["RobertaProcessing"] = json => Roberta(Id(json, "cls"), Id(json, "sep")) with
        {
            TrimsOffsets = json.Flag("trim_offsets", true),
            AddsPrefixSpace = json.Flag("add_prefix_space", true),
        },
        ["Sequence"] = json => json.Children("processors").Select(Read).Aggregate(SpecialTokenFrame.None, Around),
    };

    public static SpecialTokenFrame Read(ComponentJson json) =>
        Types.TryGetValue(json.Type, out Func<ComponentJson, SpecialTokenFrame>? make) ? make(json)
            : throw json.UnknownType(Types.Keys);

    /// <summary>[CLS] text [SEP], and [CLS] text [SEP] second [SEP] with types 0 and 1.</summary>
    public static SpecialTokenFrame Bert(int begin, int end)
    {
        TemplatePart Special(int id, int type) => new(null, [id], type);
        TemplatePart[] single = [Special(begin, 0), new TemplatePart(0, [], 0), Special(end, 0)];
        return new SpecialTokenFrame(single, [.. single, new TemplatePart(1, [], 1), Special(end, 1)]);
    }

    /// <summary>Like <see cref="Bert"/>, with two [SEP] between the texts.</summary>
    public static SpecialTokenFrame Mpnet(int begin, int end)
    {
        TemplatePart Special(int id, int type) => new(null, [id], type);
        TemplatePart[] single = [Special(begin, 0), new TemplatePart(0, [], 0), Special(end, 0)];
        return new SpecialTokenFrame(single, [.. single, Special(end, 0), new TemplatePart(1, [], 1), Special(end, 1)]);
    }

    /// <summary>Like <see cref="Bert"/>, with a separate type for [CLS].</summary>
    public static SpecialTokenFrame Funnel(int begin, int end)
    {
        SpecialTokenFrame bert = Bert(begin, end);
        TemplatePart first = new(null, [begin], 2);
        return new SpecialTokenFrame([first, .. bert.Single.Skip(1)], [first, .. bert.Pair!.Skip(1)]);
    }

    /// <summary>&lt;s&gt; text &lt;/s&gt;, and &lt;s&gt; text &lt;/s&gt; &lt;/s&gt; second &lt;/s&gt;, all of type
    /// 0.</summary>
    public static SpecialTokenFrame Roberta(int start, int stop)
    {
        TemplatePart begin = new(null, [start], 0), end = new(null, [stop], 0), first = new(0, [], 0),
            second = new(1, [], 0);
        return new SpecialTokenFrame([begin, first, end], [begin, first, end, end, second, end]) { BareType = 0 };
    }

    // Processors in sequence: the later one's tokens are added around the earlier one's.
    private static SpecialTokenFrame Around(SpecialTokenFrame inner, SpecialTokenFrame outer)
    {
        static IReadOnlyList<TemplatePart> Wrap(IReadOnlyList<TemplatePart> inner, IReadOnlyList<TemplatePart> outer) =>
            inner.Count == 1 ? outer
                : Bounded<TemplatePart[]>([.. outer.SelectMany(part => part.Sequence == 0 ? inner : [part])]);
        return new SpecialTokenFrame(Wrap(inner.Single, outer.Single), outer.Pair ?? inner.Pair)
        {
            TrimsOffsets = inner.TrimsOffsets || outer.TrimsOffsets,
            BareType = Math.Min(inner.BareType, outer.BareType),
            AddsPrefixSpace = inner.TrimsOffsets ? inner.AddsPrefixSpace : outer.AddsPrefixSpace,
        };
    }

    private static List<TemplatePart> Template(ComponentJson json, string key)
    {
        var parts = new List<TemplatePart>();
        foreach (ComponentJson part in json.Children(key))
        {
            if (part.Child("Sequence") is { } text)
                parts.Add(new TemplatePart(text.TextOr("id", "A") == "B" ? 1 : 0, [], text.NumberOr("type_id", 0)));
            else
            {
                ComponentJson special = part.Child("SpecialToken")
                    ?? throw part.Unsupported("SpecialToken", "SpecialToken or Sequence");
                parts.Add(new TemplatePart(null, [.. Ids(json, special.Text("id"))], special.NumberOr("type_id", 0)));
            }
        }
        foreach (int sequence in new[] { 0, 1 })
            if (parts.Count(part => part.Sequence == sequence) > 1)
                throw json.Unsupported(key, "a template in which each text stands once");
        return Bounded(parts);
    }

    // The tokens around every text are not texts themselves.
    private static T Bounded<T>(T parts) where T : IReadOnlyList<TemplatePart> =>
        parts.Sum(part => 1 + part.Ids.Count) <= MostParts ? parts
        : throw new InputException(
            $"The post-processor of the tokenizer puts more than {MostParts} tokens around a text. Its file is " +
            "damaged or hostile: use the model's own tokenizer.");

    private static IEnumerable<int> Ids(ComponentJson json, string name)
    {
        ComponentJson token = json.Child("special_tokens")?.Child(name)
            ?? throw json.Unsupported("special_tokens", $"an entry for \"{name}\", which the template uses");
        if (token.Json["ids"] is not JsonArray ids
            || !ids.All(id => id is JsonValue value && value.TryGetValue(out int _)))
            throw token.Unsupported("ids", "a list of token ids");
        return ids.Select(id => id!.GetValue<int>());
    }

    private static int Id(ComponentJson json, string key) =>
        json.Json[key] is JsonArray { Count: 2 } pair && pair[1] is JsonValue value && value.TryGetValue(out int id)
            ? id : throw json.Unsupported(key, "a token and its id");
}

/// <summary>The tokens that a post-processor adds to a text and to a pair of texts.</summary>
/// <param name="Single">The parts around a text.</param>
/// <param name="Pair">The parts around two texts; null if the post-processor does not define pairs.</param>
internal sealed record SpecialTokenFrame(IReadOnlyList<TemplatePart> Single, IReadOnlyList<TemplatePart>? Pair)
{
    /// <summary>No special tokens.</summary>
    public static SpecialTokenFrame None { get; } = new([new TemplatePart(0, [], 0)], null);

    /// <summary>Whether spaces at a token's edges are excluded from its offsets.</summary>
    public bool TrimsOffsets { get; init; }

    /// <summary>Whether the space before the first token was inserted, so that it is not trimmed.</summary>
    public bool AddsPrefixSpace { get; init; }

    /// <summary>Special tokens before a single text.</summary>
    public IReadOnlyList<int> Before { get; } =
        [.. Single.TakeWhile(part => part.Sequence is null).SelectMany(part => part.Ids)];

    /// <summary>Special tokens after a single text.</summary>
    public IReadOnlyList<int> After { get; } =
        [.. Single.SkipWhile(part => part.Sequence is null).Where(part => part.Sequence is null)
        .SelectMany(part => part.Ids)];

    /// <summary>A token's span without the spaces at its edges (tokenizers' process_offsets).</summary>
    /// <param name="span">The span.</param>
    /// <param name="token">The token as in the vocabulary.</param>
    /// <param name="isFirst">Whether it comes first: an inserted space before it has no position in the text.</param>
    public TokenSpan Trim(TokenSpan span, string token, bool isFirst)
    {
        static bool IsBlank(char c) => c == 'Ġ' || char.IsWhiteSpace(c);
        int leading = token.TakeWhile(IsBlank).Count(), trailing = token.Reverse().TakeWhile(IsBlank).Count();
        (int start, int end) = (span.Start, span.End);
        if (leading > 0)
        {
            if ((isFirst || start == 0) && AddsPrefixSpace) leading = Math.Max(leading - 1, 0);
            start = Math.Min(start + leading, end);
        }
        if (trailing > 0 && end >= trailing) end = Math.Max(end - trailing, start);
        return new TokenSpan(start, end);
    }

    /// <summary>The type of a second text without special tokens.</summary>
    public int BareType { get; init; } = 1;

    /// <summary>Two texts without special tokens.</summary>
    public IReadOnlyList<TemplatePart> BarePair => [new TemplatePart(0, [], 0), new TemplatePart(1, [], BareType)];
}

/// <summary>A part of a post-processor's output: special tokens, or one of the texts.</summary>
/// <param name="Sequence">0 for the first text, 1 for the second, null for special tokens.</param>
/// <param name="Ids">The special tokens.</param>
/// <param name="Type">The type of its tokens.</param>
internal sealed record TemplatePart(int? Sequence, IReadOnlyList<int> Ids, int Type);
