using LowRank.Kernels;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Texts computed in passes over pages.</summary>
/// <param name="model">The model.</param>
/// <param name="texts">Token ids.</param>
internal sealed class PagedPasses(Decoder model, int[][] texts)
{
    /// <summary>Each text in a pass of its own per token.</summary>
    public IReadOnlyList<(int Text, int Count)[]> TokenByToken() =>
        [.. texts.SelectMany((text, number) => Enumerable.Repeat(new[] { (number, 1) }, text.Length))];

    /// <summary>Passes with random parts of random texts in random order.</summary>
    public IReadOnlyList<(int Text, int Count)[]> Random(int seed)
    {
        var random = new Random(seed);
        int[] left = [.. texts.Select(text => text.Length)];
        var passes = new List<(int, int)[]>();
        while (left.Any(count => count > 0))
        {
            int[] chosen = [.. Enumerable.Range(0, left.Length).Where(text => left[text] > 0)];
            random.Shuffle(chosen);
            passes.Add([.. chosen.Take(random.Next(1, chosen.Length + 1)).Select(text =>
                (text, random.Next(3) == 0 ? 1 : random.Next(1, left[text] + 1)))]);
            foreach ((int text, int count) in passes[^1]) left[text] -= count;
        }
        return passes;
    }

    /// <summary>The logits of each text's tokens.</summary>
    /// <param name="passes">The passes.</param>
    /// <param name="use">Prepares a pass, given the text of each row.</param>
    public float[][][] Logits(
        IReadOnlyList<(int Text, int Count)[]> passes, Func<IReadOnlyList<int>, IDisposable>? use = null)
    {
        using KeyValuePages pages = model.NewPages(1000);
        float[][][] logits = [.. texts.Select(text => new float[text.Length][])];
        var tables = texts.Select(_ => new List<int>()).ToArray();
        int[] done = new int[texts.Length];
        foreach ((int Text, int Count)[] pass in passes)
        {
            using var scope = NewDisposeScope();
            foreach ((int text, int count) in pass)
                while (tables[text].Count < KeyValuePages.PagesFor(done[text] + count))
                {
                    Assert.True(pages.TryTake(out int page));
                    tables[text].Add(page);
                }
            var tokens = new PagedTokens([.. pass.Select(part => new PagedSequence(
                texts[part.Text][done[part.Text]..(done[part.Text] + part.Count)], done[part.Text],
                tables[part.Text]))]);
            using IDisposable? used = use?.Invoke(
                [.. pass.SelectMany(part => Enumerable.Repeat(part.Text, part.Count))]);
            using var noGradient = no_grad();
            Tensor rows = model.Logits(model.Hidden(tokens, pages)).cpu();
            int row = 0;
            foreach ((int text, int count) in pass)
                for (int i = 0; i < count; i++) logits[text][done[text]++] = rows[row++].data<float>().ToArray();
        }
        return logits;
    }
}
