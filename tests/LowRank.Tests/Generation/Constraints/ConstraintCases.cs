using System.Text.Json;
using LowRank.Generation;
using LowRank.Tokenizers;

namespace LowRank.Tests.Generation.Constraints;

/// <summary>What tests of constraints share.</summary>
internal static class ConstraintCases
{
    /// <summary>A vocabulary of the 256 bytes and a token that ends a text.</summary>
    public static TokenVocabulary Bytes { get; } = TokenVocabulary.Of(
        [.. Enumerable.Range(0, 256).Select(value => (ReadOnlyMemory<byte>)new[] { (byte)value }), default], [256]);

    public static TextConstraint Schema(string schema)
    {
        using var document = JsonDocument.Parse(schema);
        return TextConstraint.JsonSchema(document.RootElement);
    }

    public static void Accepts(TextConstraint constraint, params string[] texts)
    {
        TokenConstraint compiled = constraint.Compile(Bytes);
        Assert.Equal([], texts.Where(text => !compiled.Accepts(text)));
    }

    public static void Rejects(TextConstraint constraint, params string[] texts)
    {
        TokenConstraint compiled = constraint.Compile(Bytes);
        Assert.Equal([], texts.Where(compiled.Accepts));
    }

    public static string Refusal(Func<TextConstraint> constraint) =>
        Assert.Throws<InputException>(constraint).Message;

    public static Tokenizer Tokenizer(string name) => LowRank.Tokenizers.Tokenizer.Load(
        Path.Combine(RepositoryFiles.Root, "tests", "LowRank.Tokenizers.Tests", "Fixtures", "tokenizers", name));

    /// <summary>The tokens that a state's mask has.</summary>
    public static List<int> Allowed(ConstraintState state, int size)
    {
        ReadOnlySpan<uint> mask = state.Allowed;
        List<int> allowed = [];
        for (int token = 0; token < size; token++)
            if ((mask[token >> 5] >> token & 1) != 0) allowed.Add(token);
        return allowed;
    }
}
