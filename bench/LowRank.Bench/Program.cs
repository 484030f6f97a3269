using LowRank.Bench;

// Measures what docs/performance.md shows, writes it into docs/figures/performance and fills the page:
//
//     dotnet run -c Release --project bench/LowRank.Bench -- [NAME…] [--list] [--on native|avx2] [--trial]
//         [--e2e FILE] [--gpt2 FOLDER] [--python PROGRAM] [--llama-bench PROGRAM] [--gpu DEVICE] [--output FOLDER]
return BenchCommandLine.Run(args);
