using System.Buffers;
using System.Text.Json;
using Microsoft.ML.Tokenizers;
using MicrosoftBase = Microsoft.ML.Tokenizers.Tokenizer;

namespace LowRank.Tokenizers.Tests;

/// <summary>Tokenizers of real models through the public methods of Microsoft.ML.Tokenizers' class.</summary>
public sealed class MicrosoftTokenizerTests
{
    private static readonly string Fixtures = Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizers");

    public static TheoryData<string> Kinds => TokenizerParityTests.Kinds;

    [Theory, MemberData(nameof(Kinds))]
    public void Ids_tokens_counts_and_texts_are_our_own(string kind)
    {
        Tokenizer own = Tokenizer.Load(Path.Combine(Fixtures, kind));
        MicrosoftBase special = own.AsMicrosoftTokenizer(), plain = own.AsMicrosoftTokenizer(addSpecialTokens: false),
            showing = own.AsMicrosoftTokenizer(skipSpecialTokens: false);
        foreach (string text in Texts(kind))
        {
            int[] ids = own.Encode(text, addSpecialTokens: false), framed = own.Encode(text);
            Assert.Equal(ids, plain.EncodeToIds(text));
            Assert.Equal(ids, plain.EncodeToIds(text.AsSpan()));
            Assert.Equal(framed, special.EncodeToIds(text));
            Assert.Equal((ids.Length, framed.Length), (plain.CountTokens(text), special.CountTokens(text.AsSpan())));
            IReadOnlyList<EncodedToken> tokens = special.EncodeToTokens(text, out string? normalized);
            Assert.Null(normalized);
            Assert.Equal(framed, tokens.Select(token => token.Id));
            Assert.Equal(framed.Select(own.IdToToken), tokens.Select(token => token.Value));
            Assert.Equal(tokens, special.EncodeToTokens(text.AsSpan(), out _));
            Assert.Equal(own.Decode(framed, skipSpecialTokens: true), special.Decode(framed));
            Assert.Equal(own.Decode(framed), showing.Decode(framed));
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Offsets_are_those_of_the_text_with_the_blanks_of_its_tokens(string kind)
    {
        Tokenizer own = Tokenizer.Load(Path.Combine(Fixtures, kind));
        MicrosoftBase plain = own.AsMicrosoftTokenizer(addSpecialTokens: false);
        foreach (string text in Texts(kind))
        {
            TokenEncoding expected = own.EncodeFull(text, new EncodingOptions { AddSpecialTokens = false });
            IReadOnlyList<EncodedToken> tokens = plain.EncodeToTokens(text, out _);
            foreach ((EncodedToken token, TokenSpan span) in tokens.Zip(expected.Offsets))
            {
                (int start, int end) = (token.Offset.Start.Value, token.Offset.End.Value);
                Assert.InRange(span.Start, start, end);
                Assert.InRange(span.End, start, end);
                Assert.Equal(text[span.Start..span.End].Trim(), text[start..end].Trim());
            }
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_text_is_cut_to_tokens_from_both_ends_and_only_between_characters(string kind)
    {
        Tokenizer own = Tokenizer.Load(Path.Combine(Fixtures, kind));
        foreach (bool isSpecial in new[] { false, true })
        {
            MicrosoftBase tokenizer = own.AsMicrosoftTokenizer(addSpecialTokens: isSpecial);
            foreach (string text in Texts(kind))
                foreach (int most in new[] { 1, 2, 3, 5, 8, 1000 })
                    CheckCut(tokenizer, tokenizer.EncodeToTokens(text, out _), text, most);
        }
    }

    private static void CheckCut(MicrosoftBase tokenizer, IReadOnlyList<EncodedToken> all, string text, int most)
    {
        int end = tokenizer.GetIndexByTokenCount(text, most, out _, out int before);
        Assert.InRange(before, Math.Min(all.Count, Math.Max(0, most - 12)), Math.Min(all.Count, most));
        Assert.Equal(before == all.Count ? text.Length : before == 0 ? 0 : all[before - 1].Offset.End.Value, end);
        Assert.All(all.Skip(before), token => Assert.True(token.Offset.Start.Value >= end));
        Assert.Equal(all.Take(before).Select(token => token.Id),
            tokenizer.EncodeToIds(text, most, out _, out int consumed));
        Assert.Equal(end, consumed);
        Assert.Equal(all.Take(before).Select(token => token.Id),
            tokenizer.EncodeToIds(text.AsSpan(), most, out _, out _));

        int start = tokenizer.GetIndexByTokenCountFromEnd(text.AsSpan(), most, out _, out int after);
        Assert.InRange(after, Math.Min(all.Count, Math.Max(0, most - 12)), Math.Min(all.Count, most));
        Assert.Equal(after == all.Count ? 0 : after == 0 ? text.Length : all[^after].Offset.Start.Value, start);
        Assert.All(all.SkipLast(after), token => Assert.True(token.Offset.End.Value <= start));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Decoding_into_a_span_says_how_far_it_came(string kind)
    {
        Tokenizer own = Tokenizer.Load(Path.Combine(Fixtures, kind));
        MicrosoftBase tokenizer = own.AsMicrosoftTokenizer();
        foreach (string text in Texts(kind))
        {
            int[] ids = own.Encode(text);
            string whole = tokenizer.Decode(ids);
            char[] room = new char[whole.Length];
            Assert.Equal(OperationStatus.Done, tokenizer.Decode(ids, room, out int consumed, out int written));
            Assert.Equal((ids.Length, whole.Length, whole), (consumed, written, new string(room)));
            if (whole.Length == 0) continue;
            Assert.Equal(OperationStatus.DestinationTooSmall,
                tokenizer.Decode(ids, room.AsSpan(1), out consumed, out written));
            Assert.InRange(consumed, 0, ids.Length - 1);
            Assert.Equal(whole[..written], new string(room, 1, written));
            Assert.Equal(tokenizer.Decode(ids[..consumed]), whole[..written]);
        }
    }

    [Fact]
    public void Stages_are_left_out_where_they_are_not_considered()
    {
        MicrosoftBase bert = Tokenizer.Load(Path.Combine(Fixtures, "bert_uncased")).AsMicrosoftTokenizer(false);
        Assert.Equal(bert.EncodeToIds("hello"), bert.EncodeToIds("HELLO"));
        Assert.NotEqual(bert.EncodeToIds("hello"), bert.EncodeToIds("HELLO", considerNormalization: false));
        // A text that is not split is one word, which the vocabulary does not have.
        Assert.Equal(2, bert.CountTokens("of the"));
        Assert.Equal(1, bert.CountTokens("of the", considerPreTokenization: false));
        // The model sees bytes all the same.
        Tokenizer own = Tokenizer.Load(Path.Combine(Fixtures, "gpt2"));
        MicrosoftBase bytes = own.AsMicrosoftTokenizer();
        Assert.Equal("é of the", own.Decode(bytes.EncodeToIds("é of the", considerPreTokenization: false)));
    }

    [Fact]
    public void Nothing_is_asked_for_in_vain()
    {
        MicrosoftBase tokenizer = Tokenizer.Load(Path.Combine(Fixtures, "gpt2")).AsMicrosoftTokenizer();
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.EncodeToIds("a", 0, out _, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.GetIndexByTokenCount("a", -1, out _, out _));
        Assert.Throws<ArgumentNullException>(() => tokenizer.Decode(null!));
        Assert.Empty(tokenizer.EncodeToIds(""));
        Assert.Equal(0, tokenizer.GetIndexByTokenCount("", 3, out _, out int count));
        Assert.Equal(0, count);
    }

    [Fact]
    public void Microsofts_own_reader_of_the_same_vocabulary_agrees()
    {
        string folder = Path.Combine(Fixtures, "bert_uncased");
        JsonElement vocabulary = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "tokenizer.json")))
            .RootElement.GetProperty("model").GetProperty("vocab");
        using var lines = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(string.Join('\n', vocabulary
            .EnumerateObject().OrderBy(token => token.Value.GetInt32()).Select(token => token.Name))));
        BertTokenizer theirs = BertTokenizer.Create(lines);
        MicrosoftBase ours = Tokenizer.Load(folder).AsMicrosoftTokenizer(addSpecialTokens: false);
        foreach (string text in
            new[] { "the train is of the town", "one, two: three (four)!", "a b c", "it's 12.5 km" })
        {
            Assert.Equal(((WordPieceTokenizer)theirs).EncodeToTokens(text, out _).Select(token => token.Id),
                ours.EncodeToTokens(text, out _).Select(token => token.Id));
            for (int most = 1; most < 8; most++)
            {
                // Theirs counts the blanks between words to the part that is kept, and leaves out a word of which only
                // a part fits.
                int their = theirs.GetIndexByTokenCount(text, most, out _, out int theirCount),
                    our = ours.GetIndexByTokenCount(text, most, out _, out int count);
                if (theirCount == count) Assert.Equal(text[..their].TrimEnd(), text[..our].TrimEnd());
                else Assert.True(theirCount < count && their < our);
                their = theirs.GetIndexByTokenCountFromEnd(text, most, out _, out theirCount);
                our = ours.GetIndexByTokenCountFromEnd(text, most, out _, out count);
                if (theirCount == count) Assert.Equal(text[their..].TrimStart(), text[our..].TrimStart());
                else Assert.True(theirCount < count && their > our);
            }
        }
    }

    private static IEnumerable<string> Texts(string kind) =>
        File.ReadLines(Path.Combine(Fixtures, kind, "cases.jsonl"))
            .Select(line => JsonDocument.Parse(line).RootElement.GetProperty("text").GetString()!);
}
