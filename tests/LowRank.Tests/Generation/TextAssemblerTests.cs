using System.Text;
using LowRank.Generation;
using LowRank.Tokenizers;

namespace LowRank.Tests.Generation;

/// <summary>Texts from tokens that split characters, with stop strings of such characters.</summary>
public sealed class TextAssemblerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly Tokenizer tokenizer;
    private readonly int[] ofByte; // the token of each byte
    private readonly int split;    // the last byte of one character and the first of the next: A9 C3

    public TextAssemblerTests()
    {
        // The only pair of bytes that comes more than once lies across two characters.
        File.WriteAllText(folder["tokenizer.json"], BytePairTrainer.Train(["éà ũá Щâ"], 257, []));
        tokenizer = Tokenizer.Load(folder[""]);
        IReadOnlyList<ReadOnlyMemory<byte>> bytes = tokenizer.TokenBytes();
        ofByte = [.. Enumerable.Range(0, 256).Select(value => bytes.Index()
            .First(token => token.Item.Span.SequenceEqual([(byte)value])).Index)];
        split = bytes.Index().First(token => token.Item.Length == 2).Index;
        Assert.Equal([0xA9, 0xC3], bytes[split].ToArray());
    }

    public void Dispose() => folder.Dispose();

    private (string Text, bool IsStopped, List<string> Pieces) Assemble(int[] tokens, params string[] stops)
    {
        var assembler = new TextAssembler(tokenizer.CreateStreamingDecoder(), stops);
        List<string> pieces = [];
        foreach (int token in tokens)
        {
            pieces.Add(assembler.Add(token));
            if (assembler.IsStopped) break;
        }
        pieces.Add(assembler.End());
        return (string.Concat(pieces), assembler.IsStopped, pieces);
    }

    private int[] Bytes(string text) => [.. Encoding.UTF8.GetBytes(text).Select(value => ofByte[value])];

    [Fact]
    public void A_stop_string_may_end_within_a_token_that_splits_a_character()
    {
        int[] tokens = [ofByte['x'], ofByte[0xC3], split, ofByte[0xA0], ofByte['y']]; // x é à y
        Assert.Equal(("x", true), Two(Assemble(tokens, "é")));
        Assert.Equal(("", true), Two(Assemble(tokens, "xé")));
        Assert.Equal(("xé", true), Two(Assemble(tokens, "à")));
        Assert.Equal(("x", true), Two(Assemble(tokens, "éà")));
        Assert.Equal(("xéày", false), Two(Assemble(tokens, "éy")));
        // The text ends where the next character has only begun.
        Assert.Equal(("x", true), Two(Assemble(tokens[..3], "é")));
        static (string, bool) Two((string Text, bool IsStopped, List<string> Pieces) found) =>
            (found.Text, found.IsStopped);
    }

    [Fact]
    public void Characters_and_stop_strings_are_never_shown_in_part_however_tokens_split_them()
    {
        string[] characters = ["é", "à", "Щ", "€", "😀", "👍", "a", "b", " "];
        var random = new Random(3);
        string Draw(int most) => string.Concat(
            Enumerable.Range(0, random.Next(1, most + 1)).Select(_ => characters[random.Next(characters.Length)]));
        for (int round = 0; round < 400; round++)
        {
            string text = Draw(14);
            string[] stops = [.. Enumerable.Range(0, random.Next(3)).Select(_ => Draw(3))];
            List<int> tokens = [.. Bytes(text)];
            for (int i = 0; i + 1 < tokens.Count; i++)
                if ((tokens[i], tokens[i + 1]) == (ofByte[0xA9], ofByte[0xC3]) && random.Next(4) > 0)
                {
                    tokens[i] = split;
                    tokens.RemoveAt(i + 1);
                }
            int end = stops.Select(stop => text.IndexOf(stop, StringComparison.Ordinal)).Where(at => at >= 0)
                .DefaultIfEmpty(text.Length).Min();
            (string found, bool isStopped, List<string> pieces) = Assemble([.. tokens], stops);
            Assert.Equal(text[..end], found);
            Assert.Equal(stops.Any(text.Contains), isStopped);
            Assert.All(pieces, piece => Assert.True(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(piece)) == piece,
                $"a piece of {text} ends within a character"));
        }
    }

    [Fact]
    public void A_stop_string_with_half_of_a_character_is_refused()
    {
        foreach (string stop in new[] { "\uD83D", "\uDE00", "a\uDE00\uD83D", "\uD83D\uDE00\uDE00", "😀\uD83Db" })
            Assert.Contains("half of a surrogate pair", Assert.Throws<InputException>(
                () => new GenerationOptions { StopStrings = ["😀", stop] }.Validate()).Message,
                StringComparison.Ordinal);
    }
}
