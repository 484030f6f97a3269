namespace LowRank.Serving;

/// <summary>What a <see cref="ServingEngine"/> does now, and did since its start.</summary>
/// <param name="Running">Texts that are written.</param>
/// <param name="Waiting">Texts that wait.</param>
/// <param name="CacheUsage">Share of the memory for keys and values that texts under way hold, 0 to 1.</param>
/// <param name="CacheBytes">Bytes for keys and values that are taken from the system: of texts under way, and of
/// beginnings that are kept for others.</param>
/// <param name="CacheQueries">Tokens of prompts so far.</param>
/// <param name="CacheHits">How many of them were known from earlier requests.</param>
/// <param name="PromptTokens">Tokens of prompts that were read.</param>
/// <param name="NewTokens">Tokens that were written.</param>
/// <param name="Steps">Passes through the model.</param>
/// <param name="LoadedAdapters">Adapters in memory.</param>
/// <param name="AdapterBytes">Bytes of their weights.</param>
/// <param name="AdapterLoads">How often one was read into memory.</param>
public sealed record ServingStatistics(
    int Running, int Waiting, double CacheUsage, long CacheBytes, long CacheQueries, long CacheHits, long PromptTokens,
    long NewTokens, long Steps, int LoadedAdapters, long AdapterBytes, long AdapterLoads);
