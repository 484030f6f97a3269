using System.Runtime.InteropServices;
using System.Text;
using CsCheck;
using LowRank.Kernels.Native;

namespace LowRank.Tests.Kernels.Native;

public sealed class ElfVersionPatchTests
{
    private const string Version = "GLIBCXX_3.4.32";

    [Fact]
    public void One_byte_of_the_real_library_changes()
    {
        byte[] original = Library(), image = Library();
        Assert.True(ElfVersionPatch.MarkWeak(image, Version));
        int[] changed = [.. Enumerable.Range(0, image.Length).Where(i => image[i] != original[i])];
        int flags = Assert.Single(changed);
        Assert.Equal((0, 2), (original[flags], image[flags]));
        // Vernaux: vna_hash before the flags is the ELF hash of the version's name.
        Assert.Equal(ElfHash(Version), BitConverter.ToUInt32(image, flags - 4));

        byte[] again = [.. image];
        Assert.True(ElfVersionPatch.MarkWeak(again, Version));
        Assert.Equal(image, again);
    }

    [Theory]
    [InlineData("GLIBCXX_3.4.99")]
    [InlineData("GLIBCXX_3.4.3")]
    [InlineData("GLIBCXX")]
    [InlineData("LIBCXX_3.4.32")]
    public void A_version_that_is_not_required_changes_nothing(string version)
    {
        byte[] original = Library(), image = Library();
        Assert.False(ElfVersionPatch.MarkWeak(image, version));
        Assert.Equal(original, image);
    }

    [Theory]
    [InlineData("")]
    [InlineData("not a library at all, but longer than the header of an ELF file, which is 64 bytes")]
    [InlineData("\u007fELF\u0001\u0001 of 32 bits .........................................................")]
    [InlineData("\u007fELF\u0002\u0002 big-endian .........................................................")]
    [InlineData("\u007fELF\u0002\u0001 garbage in every table .............................................")]
    public void What_is_no_such_library_is_refused(string content) =>
        Assert.Throws<InvalidDataException>(() => ElfVersionPatch.MarkWeak(Encoding.Latin1.GetBytes(content), Version));

    [Fact]
    public void A_library_that_was_cut_off_is_refused()
    {
        byte[] library = Library();
        Assert.Throws<InvalidDataException>(() => ElfVersionPatch.MarkWeak(library[..4096], Version));
    }

    [Fact]
    public void A_damaged_library_is_refused_or_patched_and_never_more()
    {
        byte[] original = Library();
        byte[] image = [.. original];
        Assert.True(ElfVersionPatch.MarkWeak(image, Version));
        int flags = Enumerable.Range(0, image.Length).First(i => image[i] != original[i]);
        // The places that the patch reads: the headers, the version table around the entry.
        Gen<int> place = Gen.OneOf(Gen.Int[4, 64 + 56 * 12], Gen.Int[flags - 200, flags + 200]);
        Gen<byte> value = Gen.OneOf(Gen.Byte, Gen.Const((byte)0), Gen.Const((byte)255));
        int refused = 0;
        Gen.Select(place, value).Array[1, 8].Sample(changes =>
        {
            foreach ((int at, byte b) in changes) image[at] = b;
            byte[] damaged = [.. image];
            try
            {
                _ = ElfVersionPatch.MarkWeak(image, Version);
                int different = Enumerable.Range(0, image.Length).Count(i => image[i] != damaged[i]);
                Assert.InRange(different, 0, 1);
            }
            catch (InvalidDataException)
            {
                refused++;
            }
            original.CopyTo(image, 0);
        }, iter: 300, threads: 1);
        Assert.InRange(refused, 1, 299);
    }

    private static byte[] Library()
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64,
                "needs the library of Linux x64");
        return File.ReadAllBytes(
            Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libLibTorchSharp.so"));
    }

    private static uint ElfHash(string name)
    {
        uint hash = 0;
        foreach (char c in name)
        {
            hash = (hash << 4) + c;
            uint high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }
        return hash;
    }
}
