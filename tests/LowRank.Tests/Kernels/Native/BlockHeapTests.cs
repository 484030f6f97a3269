using LowRank.Data;
using LowRank.Kernels.Native;

namespace LowRank.Tests.Kernels.Native;

public sealed class BlockHeapTests
{
    private const long Room = 1 << 20;

    [Fact]
    public void A_freed_block_gives_its_place_to_the_next_of_its_size()
    {
        var heap = new BlockHeap(4096, Room);
        nint first = heap.Take(1000), second = heap.Take(5000), third = heap.Take(1000);
        Assert.Equal(4096, first);
        Assert.All([first, second, third], address => Assert.Equal(0, address % 64));
        heap.Return(second);
        Assert.Equal(second, heap.Take(5000));
    }

    [Fact]
    public void Freed_neighbours_become_one_in_whatever_order()
    {
        int[][] orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        foreach (int[] order in orders)
        {
            var heap = new BlockHeap(4096, Room);
            nint[] blocks = [heap.Take(1000), heap.Take(2000), heap.Take(3000)];
            foreach (int number in order) heap.Return(blocks[number]);
            Assert.Equal(0, heap.Used);
            int extents = 0;
            heap.EachFree((_, _) => extents++);
            Assert.Equal(1, extents);
            Assert.Equal(4096, heap.Take(Room - 1024));
        }
    }

    [Fact]
    public void Blocks_never_overlap_and_all_room_comes_back()
    {
        var heap = new BlockHeap(1 << 20, Room);
        var random = new StableRandom(3);
        Dictionary<nint, long> taken = [];
        for (int i = 0; i < 5000; i++)
        {
            if (random.NextDouble() < 0.55)
            {
                long size = 1 + (long)(random.NextDouble() * 60000);
                if (heap.Take(size) is var address && address == 0) continue; // full
                Assert.InRange(address, 1 << 20, (1 << 20) + Room - size);
                Assert.DoesNotContain(
                    taken, other => address < other.Key + (nint)other.Value && other.Key < address + (nint)size);
                taken.Add(address, size);
            }
            else if (taken.Count > 0)
            {
                nint address = taken.Keys.ElementAt((int)(random.NextDouble() * taken.Count));
                taken.Remove(address);
                heap.Return(address);
            }
        }
        foreach (nint address in taken.Keys) heap.Return(address);
        Assert.Equal(0, heap.Used);
        Assert.Equal(1 << 20, heap.Take(Room - 1024));
    }

    [Fact]
    public void No_room_and_an_unknown_block_are_told()
    {
        var heap = new BlockHeap(4096, Room);
        Assert.Equal(0, heap.Take(Room));
        Assert.Contains("1234", Assert.Throws<ArgumentException>(() => heap.Return(0x1234)).Message);
    }
}
