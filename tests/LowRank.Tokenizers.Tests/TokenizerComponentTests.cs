using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tokenizers.Decoders;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Tests;

/// <summary>Each component by itself against the tokenizers library (Reference/make_tokenizer_components.py).</summary>
public sealed class TokenizerComponentTests
{
    [Fact]
    public void Normalizers_change_texts_as_the_reference_does() =>
        Check("normalizer", 21, json => text => NormalizerReader.Read(json).Normalize(text!.GetValue<string>()));

    [Fact]
    public void Pre_tokenizers_split_as_the_reference_does() =>
        Check("pre_tokenizer", 59, json => text => Pieces(json, text!.GetValue<string>()));

    [Fact]
    public void Decoders_join_as_the_reference_does() => Check("decoder", 15, json => tokens =>
        string.Concat(
            DecoderReader.Read(json).Decode([.. tokens!.AsArray().Select(token => token!.GetValue<string>())])));

    [Fact]
    public void Added_tokens_and_models_give_the_reference_s_ids() => Check("added", 55, json =>
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, json.Json.ToJsonString());
            Tokenizer tokenizer = Tokenizer.Load(file);
            return text =>
            {
                int[] ids = tokenizer.Encode(text!.GetValue<string>());
                return new JsonArray(new JsonArray([.. ids.Select(id => (JsonNode)id)]), tokenizer.Decode(ids),
                    tokenizer.Decode(ids, skipSpecialTokens: true));
            };
        }
        finally
        {
            File.Delete(file);
        }
    });

    private static JsonArray Pieces(ComponentJson json, string text)
    {
        var parts = new List<Piece>();
        PreTokenizerReader.Read(json).Split(new Piece(text, 0, text.Length, AsBytes: false), isFirst: true, parts);
        return new JsonArray([.. parts.Where(part => part.Length > 0)
            .Select(part => (JsonNode)(part.AsBytes ? ByteAlphabet.Write(part.Span) : part.Span.ToString()))]);
    }

    // Every difference at once: a component that is wrong is seen by all its cases.
    private static void Check(
        string kind, int expectedComponents, Func<ComponentJson, Func<JsonNode?, JsonNode?>> prepare)
    {
        var differences = new List<string>();
        int components = 0;
        foreach (
            string line in File.ReadLines(
                Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizer_components.jsonl")))
        {
            JsonObject entry = JsonNode.Parse(line)!.AsObject();
            if (entry["kind"]!.GetValue<string>() != kind) continue;
            components++;
            JsonObject json = entry["json"]!.AsObject();
            Func<JsonNode?, JsonNode?> run;
            try
            {
                run = prepare(new ComponentJson(json, "fixture"));
            }
            catch (InputException e)
            {
                differences.Add(e.Message);
                continue;
            }
            foreach (JsonNode? pair in entry["cases"]!.AsArray())
            {
                JsonNode? found;
                try
                {
                    found = run(pair![0]);
                }
                catch (InputException e)
                {
                    differences.Add($"{Short(json)}: {e.Message}");
                    break;
                }
                if (!JsonNode.DeepEquals(found, pair[1]))
                    differences.Add(
                        $"{Short(json)}: {pair[0]!.ToJsonString()} gives {found?.ToJsonString()}, expected " +
                        $"{pair[1]!.ToJsonString()}");
            }
        }
        Assert.True(differences.Count == 0,
            $"{differences.Count} differences:\n" + string.Join('\n', differences.Take(80)));
        Assert.Equal(expectedComponents, components);
    }

    private static string Short(JsonObject json)
    {
        string text = (json["added_tokens"]?.AsArray().FirstOrDefault() is { } token
            ? token.ToJsonString() + json["normalizer"]?.ToJsonString()
            : json.ToJsonString(new JsonSerializerOptions { WriteIndented = false }))!;
        return text.Length > 220 ? text[..220] : text;
    }
}
