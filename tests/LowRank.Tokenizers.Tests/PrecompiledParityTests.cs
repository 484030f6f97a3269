using System.Text.Json.Nodes;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.SentencePiece;

namespace LowRank.Tokenizers.Tests;

public sealed class PrecompiledParityTests
{
    [Fact]
    public void A_precompiled_map_changes_texts_as_the_reference_does()
    {
        string root = Path.Combine(AppContext.BaseDirectory, "Fixtures");
        CharacterMap map =
            SentencePieceFile.Read(Path.Combine(root, "tokenizers", "sentencepiece_unigram", "tokenizer.model")).Map!;
        var normalizer = new PrecompiledNormalizer(map);
        int cases = 0;
        foreach (JsonNode row in File.ReadLines(Path.Combine(root, "precompiled.jsonl"))
            .Select(line => JsonNode.Parse(line)!))
        {
            string text = row["text"]!.GetValue<string>(), expected = row["normalized"]!.GetValue<string>();
            Assert.Equal(expected, normalizer.Normalize(text));
            Assert.Equal(expected, normalizer.Align(AlignedText.Of(text)).Text);
            cases++;
        }
        Assert.Equal(77, cases);
    }
}
