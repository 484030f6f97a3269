using BenchmarkDotNet.Attributes;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>A layer's attention over pages beside the same over one block of memory for each text: of a whole prompt,
/// and of a new token of one or of several texts.</summary>
public class PagedAttentionBenchmark : IDisposable
{
    private const int Heads = 12, Dimension = 64, Length = 1024;

    private KeyValuePages pages = null!;
    private PagedAttention paged = null!;
    private KeyValueCache cache = null!;
    private Tensor pagedQuery = null!, pagedKey = null!, query = null!, key = null!;
    private int texts, added;

    /// <summary>Texts and new tokens of each; with them a text has 1024 tokens.</summary>
    [Params("1x1024", "1x1", "8x1")]
    public string Shape { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        MicroBenchmark.PrepareThreads();
        int[] sizes = [.. Shape.Split('x').Select(int.Parse)];
        (texts, added) = (sizes[0], sizes[1]);
        pages = new KeyValuePages(1, Heads, Dimension, texts * KeyValuePages.PagesFor(Length), CPU);
        int[][] tables =
            [.. Enumerable.Range(0, texts).Select(_ => new int[KeyValuePages.PagesFor(Length)].Select(_ => Take()))
                .Select(table => table.ToArray())];
        Tensor before = MicroBenchmark.Draw(1, texts, Heads, Length, Dimension);
        query = MicroBenchmark.Draw(2, texts, Heads, added, Dimension);
        key = before.narrow(2, Length - added, added).contiguous();
        using var noGradient = no_grad();
        cache = new KeyValueCache(1, Heads, Dimension, texts, Length, CPU);
        cache.Append(0, before.narrow(2, 0, Length - added), before.narrow(2, 0, Length - added));
        cache.Advance(Length - added);
        if (added < Length) Paged(tables, 0, Length - added).Attend(
            Rows(before.narrow(2, 0, Length - added)), Rows(before.narrow(2, 0, Length - added)),
            Rows(before.narrow(2, 0, Length - added)), 0, default);
        (pagedQuery, pagedKey) = (Rows(query), Rows(key));
        paged = Paged(tables, Length - added, added);
        using Tensor found = Pages(), expected = OneBlock();
        MicroBenchmark.AssertAlike(found.view(-1), expected.reshape(-1), 1e-5);
    }

    [Benchmark]
    public Tensor Pages()
    {
        using var noGradient = no_grad();
        return paged.Attend(pagedQuery, pagedKey, pagedKey, 0, default);
    }

    [Benchmark(Baseline = true)]
    public Tensor OneBlock()
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor ids = zeros(texts, added);
        ForwardContext context = added == Length ? ForwardContext.Create(ids, null, null, null, null, null)
            : ForwardContext.Create(ids, null, null, null, cache, null);
        return context.Attend(query, key, key, new AttentionSettings(0)).MoveToOuterDisposeScope();
    }

    [GlobalCleanup]
    public void Dispose()
    {
        pages?.Dispose();
        cache?.Dispose();
    }

    private PagedAttention Paged(int[][] tables, int position, int count) =>
        new(new PagedTokens([.. tables.Select(table => new PagedSequence(new int[count], position, table))]), pages);

    // [texts, heads, tokens, dimension] to [texts · tokens, heads, 1, dimension]
    private static Tensor Rows(Tensor heads) =>
        heads.transpose(1, 2).reshape(-1, Heads, 1, Dimension).contiguous();

    private int Take() => pages.TryTake(out int page) ? page : throw new InvalidOperationException("No page is left.");
}
