using System.Text.Json.Nodes;

namespace LowRank.Tokenization.PostProcessors;

/// <summary>Reads from tokenizer.json's post-processor which special tokens stand around a text.</summary>
internal static class PostProcessorReader
{
    private static readonly Dictionary<string, Func<ComponentJson, SpecialTokenFrame>> Types = new()
    {
        ["ByteLevel"] = _ => SpecialTokenFrame.None, // moves offsets only
        ["TemplateProcessing"] = Template,
        ["BertProcessing"] = Classifier,
        ["RobertaProcessing"] = Classifier,
        ["Sequence"] = json => json.Children("processors").Select(Read)
            .Aggregate(SpecialTokenFrame.None, (inner, outer) => new([.. outer.Before, .. inner.Before], [.. inner.After, .. outer.After])),
    };

    public static SpecialTokenFrame Read(ComponentJson json) =>
        Types.TryGetValue(json.Type, out Func<ComponentJson, SpecialTokenFrame>? make) ? make(json) : throw json.UnknownType(Types.Keys);

    private static SpecialTokenFrame Template(ComponentJson json)
    {
        var before = new List<int>();
        var after = new List<int>();
        List<int> current = before;
        foreach (ComponentJson part in json.Children("single"))
        {
            if (part.Child("Sequence") is not null) current = after;
            else current.AddRange(Ids(json, (part.Child("SpecialToken") ?? throw part.Unsupported("SpecialToken", "SpecialToken or Sequence")).Text("id")));
        }
        return new SpecialTokenFrame(before, after);
    }

    private static IEnumerable<int> Ids(ComponentJson json, string name)
    {
        ComponentJson token = json.Child("special_tokens")?.Child(name) ?? throw json.Unsupported("special_tokens", $"an entry for \"{name}\", which the template uses");
        if (token.Json["ids"] is not JsonArray ids || !ids.All(id => id is JsonValue value && value.TryGetValue(out int _)))
            throw token.Unsupported("ids", "a list of token ids");
        return ids.Select(id => id!.GetValue<int>());
    }

    private static SpecialTokenFrame Classifier(ComponentJson json) => new([Id(json, "cls")], [Id(json, "sep")]);

    private static int Id(ComponentJson json, string key) =>
        json.Json[key] is JsonArray { Count: 2 } pair && pair[1] is JsonValue value && value.TryGetValue(out int id) ? id : throw json.Unsupported(key, "a token and its id");
}
