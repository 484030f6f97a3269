using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

public sealed class KeyValuePagesTests
{
    [Fact]
    public void Returned_pages_are_taken_again_and_trimmed_ones_made_anew()
    {
        using KeyValuePages pages = New(most: 3);
        Assert.Equal((0, 0), (pages.InUse, pages.Held));
        int[] taken = [Take(pages), Take(pages), Take(pages)];
        Assert.Equal(3, taken.Distinct().Count());
        Assert.False(pages.TryTake(out int none));
        Assert.Equal(-1, none);
        pages.Return(taken[1]);
        Assert.Equal((2, 3), (pages.InUse, pages.Held));
        nint before = pages.Address(taken[0]);
        Assert.Equal(taken[1], Take(pages));
        pages.Return(taken[1]);
        pages.Return(taken[2]);
        pages.Trim();
        Assert.Equal((1, 1), (pages.InUse, pages.Held));
        Assert.Equal(before, pages.Address(taken[0]));
        Assert.Equal(new[] { taken[1], taken[2] }.Order(), new[] { Take(pages), Take(pages) }.Order());
        Assert.False(pages.TryTake(out _));
    }

    [Fact]
    public void A_page_holds_the_keys_and_values_of_all_layers()
    {
        using var scope = NewDisposeScope();
        using KeyValuePages pages = New(most: 1);
        // 2 layers, keys and values, 3 heads of 5, 32 positions; and room behind the last head.
        Assert.InRange(pages.PageBytes, 2 * 2 * 3 * 5 * 32 * 4, 2 * 2 * 3 * 5 * 32 * 4 + 256);
        int page = Take(pages);
        for (int layer = 0; layer < 2; layer++)
        {
            (Tensor keys, Tensor values) = pages.Layer(page, layer);
            Assert.Equal([3, 5, 32], keys.shape);
            Assert.Equal([3, 32, 5], values.shape);
            keys.fill_(Number(2 * layer + 1));
            values.fill_(Number(2 * layer + 2));
        }
        float Sum(Tensor part) => part.sum().item<float>();
        Assert.Equal([480f, 960, 1440, 1920],
            [Sum(pages.Layer(page, 0).Keys), Sum(pages.Layer(page, 0).Values), Sum(pages.Layer(page, 1).Keys),
                Sum(pages.Layer(page, 1).Values)]);
    }

    [Fact]
    public void A_page_outlives_the_scope_in_which_it_was_taken_and_is_freed_with_the_pool()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (KeyValuePages pages = New(most: 4))
        {
            using (NewDisposeScope())
            {
                Take(pages);
                pages.Return(Take(pages));
            }
            Assert.Equal(2, pages.Held);
            Assert.NotEqual(0, pages.Address(0));
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void A_page_that_is_not_in_use_is_refused()
    {
        using KeyValuePages pages = New(most: 2);
        int page = Take(pages);
        pages.Return(page);
        Assert.Throws<ArgumentException>(() => pages.Return(page));
        Assert.Throws<ArgumentException>(() => pages.Address(page));
        Assert.Throws<ArgumentException>(() => pages.Layer(page, 0));
        pages.Trim();
        Assert.Throws<ArgumentException>(() => pages.Return(page));
        Assert.Throws<ArgumentException>(() => pages.Return(7));
        Assert.Throws<ArgumentException>(() => new PagedAttention(
            new PagedTokens([new PagedSequence([1], 0, [page])]), pages));
    }

    [Theory, InlineData(0, 0), InlineData(1, 1), InlineData(32, 1), InlineData(33, 2), InlineData(64, 2)]
    public void Pages_for_a_number_of_positions(int positions, int count) =>
        Assert.Equal(count, KeyValuePages.PagesFor(positions));

    private static KeyValuePages New(int most) => new(layers: 2, heads: 3, dimension: 5, most, CPU);

    private static int Take(KeyValuePages pages)
    {
        Assert.True(pages.TryTake(out int page));
        return page;
    }
}
