using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Memory for the keys and values of many sequences, in pages of <see cref="PageLength"/> positions of all
/// layers (PagedAttention, arXiv 2309.06180): a sequence takes pages as it grows, and several sequences can read the
/// same page.</summary>
/// <remarks>Pages have numbers. Nothing here knows which sequences read a page; who shares pages counts. Within a page,
/// each layer's heads hold their keys with positions innermost, [dimension, positions], so that scores are computed for
/// as many positions at once as a vector holds, and their values as [positions, dimension]. Belongs to the model's
/// thread.</remarks>
internal sealed unsafe class KeyValuePages : IDisposable
{
    /// <summary>Number of positions in a page.</summary>
    public const int PageLength = 32;

    // Numbers after the last head: products read whole panels of its values.
    private const int Slack = 32;

    private readonly Device device;
    private readonly List<Page> pages = [];
    private readonly Stack<int> unused = []; // with memory
    private readonly Stack<int> freed = [];  // without memory

    /// <summary>A pool without pages.</summary>
    /// <param name="layers">Number of layers.</param>
    /// <param name="heads">Number of key-value heads per layer.</param>
    /// <param name="dimension">Width of a head.</param>
    /// <param name="most">The largest number of pages in use.</param>
    /// <param name="device">Where their memory is.</param>
    public KeyValuePages(int layers, int heads, int dimension, int most, Device device)
    {
        (Layers, Heads, Dimension, Most, this.device) = (layers, heads, dimension, most, device);
    }

    /// <summary>Number of layers.</summary>
    public int Layers { get; }

    /// <summary>Number of key-value heads per layer.</summary>
    public int Heads { get; }

    /// <summary>Width of a head.</summary>
    public int Dimension { get; }

    /// <summary>The largest number of pages in use.</summary>
    public int Most { get; }

    /// <summary>Number of pages in use.</summary>
    public int InUse => pages.Count - unused.Count - freed.Count;

    /// <summary>Number of pages with memory, in use or kept for reuse.</summary>
    public int Held => pages.Count - freed.Count;

    /// <summary>Size of a page in bytes.</summary>
    public long PageBytes => (Layers * LayerNumbers + Slack) * sizeof(float);

    /// <summary>Numbers in a page for one layer: the keys of all heads, then their values.</summary>
    public long LayerNumbers => 2L * Heads * HeadNumbers;

    /// <summary>Numbers in a page for the keys, or the values, of one head.</summary>
    public long HeadNumbers => (long)PageLength * Dimension;

    /// <summary>The number of pages that hold a given number of positions.</summary>
    public static int PagesFor(int positions) => (positions + PageLength - 1) / PageLength;

    /// <summary>Takes a page into use: one that was returned, or a new one. It holds nothing of use.</summary>
    /// <param name="page">The page's number; -1 if <see cref="Most"/> pages are in use.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTake(out int page)
    {
        if (unused.TryPop(out page))
        {
            pages[page] = pages[page] with { IsInUse = true };
            return true;
        }
        page = -1;
        if (InUse >= Most) return false;
        Tensor memory = empty(Layers * LayerNumbers + Slack, ScalarType.Float32, device).DetachFromDisposeScope();
        var made = new Page(memory, device.type == DeviceType.CPU ? NativeTensor.Address(memory) : 0, IsInUse: true);
        if (freed.TryPop(out page))
        {
            pages[page] = made;
            return true;
        }
        page = pages.Count;
        pages.Add(made);
        return true;
    }

    /// <summary>Takes a page out of use; its memory is kept for the next one.</summary>
    /// <exception cref="ArgumentException">The page is not in use.</exception>
    public void Return(int page)
    {
        RequireInUse(page);
        pages[page] = pages[page] with { IsInUse = false };
        unused.Push(page);
    }

    /// <summary>Frees the memory of all pages that are not in use.</summary>
    public void Trim()
    {
        while (unused.TryPop(out int page))
        {
            Free(pages[page]);
            pages[page] = default;
            freed.Push(page);
        }
    }

    /// <summary>A layer's keys and values in a page, as views in the caller's dispose scope.</summary>
    /// <returns>[heads, dimension, positions] and [heads, positions, dimension]</returns>
    /// <exception cref="ArgumentException">The page is not in use.</exception>
    public (Tensor Keys, Tensor Values) Layer(int page, int layer)
    {
        RequireInUse(page);
        long half = Heads * HeadNumbers;
        Tensor all = pages[page].Memory!.narrow(0, layer * LayerNumbers, LayerNumbers);
        return (all.narrow(0, 0, half).view(Heads, Dimension, PageLength),
            all.narrow(0, half, half).view(Heads, PageLength, Dimension));
    }

    /// <summary>The address of a page in the processor's memory, until it is returned.</summary>
    /// <exception cref="ArgumentException">The page is not in use.</exception>
    public nint Address(int page)
    {
        RequireInUse(page);
        return pages[page].Address;
    }

    /// <summary>Whether pages are in the processor's memory.</summary>
    public bool IsOnProcessor => device.type == DeviceType.CPU;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Page page in pages) Free(page);
        pages.Clear();
        unused.Clear();
        freed.Clear();
    }

    private void RequireInUse(int page)
    {
        if (page < 0 || page >= pages.Count || !pages[page].IsInUse)
            throw new ArgumentException($"Page {page} is not in use.", nameof(page));
    }

    // The system gets the memory back even where the C library keeps freed blocks.
    private void Free(Page page)
    {
        if (page.Address != 0) NativePages.ReleaseWithin(page.Address, PageBytes);
        page.Memory?.Dispose();
    }

    private readonly record struct Page(Tensor? Memory, nint Address, bool IsInUse);
}
